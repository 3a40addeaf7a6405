//! Expansion of `#[task]`: the function stays as it is, and the export that the host calls is added next to it.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, LitStr, ReturnType, Type, meta};

use crate::beside;

/// The contract's `TASK_EXPORT_PREFIX`; `wrun-guest` asserts that the two agree.
const EXPORT_PREFIX: &str = "wrun:task/";

/// The function and its export, or the function and a compile error.
pub fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    beside(&item, try_expand(options, &item))
}

fn try_expand(options: TokenStream, item: &TokenStream) -> Result<TokenStream, Error> {
    let function: ItemFn = syn::parse2(item.clone())
        .map_err(|error| Error::new(error.span(), "#[wrun_guest::task] belongs on a function with a body"))?;
    let name = task_name(options, &function)?;
    refuse_what_cannot_be_called(&function)?;

    let mut arguments = Vec::new();
    let mut extractions = Vec::new();
    for (position, parameter) in function.sig.inputs.iter().enumerate() {
        let ty = parameter_type(parameter)?;
        let argument = format_ident!("argument_{position}");
        // With the type's own span, the compiler points at the parameter if its type is not an extractor.
        extractions.push(quote_spanned! {ty.span()=>
            let #argument = <#ty as ::wrun_guest::FromTask<'_>>::from_task(task)?;
        });
        arguments.push(argument);
    }

    let function_name = &function.sig.ident;
    let result_span = match &function.sig.output {
        ReturnType::Default => function_name.span(),
        ReturnType::Type(_, ty) => ty.span(),
    };
    let finish = quote_spanned! {result_span=>
        ::wrun_guest::IntoOutput::into_output(result, &mut task.output())
    };
    let export_name = format!("{EXPORT_PREFIX}{name}");
    // A `cfg` on the function also applies to its export.
    let conditions = function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    Ok(quote! {
        #(#conditions)*
        const _: () = {
            ::wrun_guest::__private::assert_task_export(#export_name);

            #[cfg_attr(target_family = "wasm", unsafe(export_name = #export_name))]
            #[allow(dead_code)]
            extern "C" fn run_task() -> i32 {
                ::wrun_guest::__private::run(|task| {
                    let _ = task;
                    #(#extractions)*
                    #[allow(clippy::let_unit_value)]
                    let result = #function_name(#(#arguments),*);
                    #finish
                })
            }
        };
    })
}

/// The name in `#[task(name = "...")]`, otherwise the function's own.
fn task_name(options: TokenStream, function: &ItemFn) -> Result<String, Error> {
    let mut name = None;
    let parser = meta::parser(|option| {
        if !option.path.is_ident("name") {
            return Err(option.error("unknown option: the only one is `name = \"...\"`"));
        }
        name = Some(option.value()?.parse::<LitStr>()?);
        Ok(())
    });
    parser.parse2(options)?;
    let Some(name) = name else {
        let ident = function.sig.ident.to_string();
        return Ok(ident.trim_start_matches("r#").to_owned());
    };
    let text = name.value();
    if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Error::new(
            name.span(),
            "a task's name needs at least one character and must not contain white space",
        ));
    }
    Ok(text)
}

fn refuse_what_cannot_be_called(function: &ItemFn) -> Result<(), Error> {
    let signature = &function.sig;
    if let Some(token) = &signature.asyncness {
        return Err(Error::new(token.span(), "a task cannot be async: it runs alone in its own instance"));
    }
    if let Some(token) = &signature.unsafety {
        return Err(Error::new(token.span(), "a task cannot be unsafe: the host may call it with any argument"));
    }
    if let Some(token) = &signature.variadic {
        return Err(Error::new(token.span(), "a task cannot be variadic"));
    }
    let unknown = signature.generics.params.iter().find(|p| !matches!(p, syn::GenericParam::Lifetime(_)));
    if let Some(parameter) = unknown {
        return Err(Error::new(parameter.span(), "a task cannot be generic: the host knows only its name"));
    }
    Ok(())
}

/// The parameter's type with named lifetimes left to inference, because the export does not declare them.
fn parameter_type(parameter: &FnArg) -> Result<Type, Error> {
    let FnArg::Typed(parameter) = parameter else {
        return Err(Error::new(parameter.span(), "a task must be a free function: it has no `self`"));
    };
    if let Type::ImplTrait(ty) = &*parameter.ty {
        return Err(Error::new(ty.span(), "a task's parameter needs a concrete type, such as `Input` or `&str`"));
    }
    syn::parse2(elide_lifetimes(parameter.ty.to_token_stream()))
}

/// The tokens with every lifetime except `'static` replaced by `'_`.
fn elide_lifetimes(tokens: TokenStream) -> TokenStream {
    use proc_macro2::{Group, Ident, TokenTree};
    let mut after_quote = false;
    tokens
        .into_iter()
        .map(|token| {
            let in_lifetime = std::mem::replace(&mut after_quote, false);
            match token {
                TokenTree::Punct(punct) => {
                    after_quote = punct.as_char() == '\'';
                    TokenTree::Punct(punct)
                }
                TokenTree::Ident(ident) if in_lifetime && ident != "static" => {
                    TokenTree::Ident(Ident::new("_", ident.span()))
                }
                TokenTree::Group(group) => {
                    let mut elided = Group::new(group.delimiter(), elide_lifetimes(group.stream()));
                    elided.set_span(group.span());
                    TokenTree::Group(elided)
                }
                other => other,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(options: TokenStream, item: TokenStream) -> String {
        expand(options, item).to_string()
    }

    #[test]
    fn export_is_named_after_the_function() {
        let text = expanded(
            quote!(),
            quote!(
                fn count(text: &str) {}
            ),
        );
        assert!(text.contains("export_name = \"wrun:task/count\""), "{text}");
        assert!(!text.contains("compile_error"), "{text}");
    }

    #[test]
    fn name_option_renames_the_export() {
        let text = expanded(
            quote!(name = "word-count"),
            quote!(
                fn count() {}
            ),
        );
        assert!(text.contains("\"wrun:task/word-count\""), "{text}");
    }

    #[test]
    fn named_lifetimes_are_left_to_inference() {
        let text = expanded(
            quote!(),
            quote!(
                fn first<'a>(text: &'a str, rest: Inputs<'a>) -> &'a str {
                    text
                }
            ),
        );
        assert!(text.contains("< & '_ str as"), "{text}");
        assert!(text.contains("Inputs < '_ >"), "{text}");
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for (item, message) in [
            (
                quote!(
                    async fn a() {}
                ),
                "cannot be async",
            ),
            (
                quote!(
                    unsafe fn a() {}
                ),
                "cannot be unsafe",
            ),
            (
                quote!(
                    fn a<T>(t: T) {}
                ),
                "cannot be generic",
            ),
            (
                quote!(
                    fn a(&self) {}
                ),
                "no `self`",
            ),
            (
                quote!(
                    fn a(t: impl Copy) {}
                ),
                "concrete type",
            ),
            (
                quote!(
                    struct A;
                ),
                "belongs on a function",
            ),
        ] {
            let text = expanded(quote!(), item);
            assert!(text.contains("compile_error") && text.contains(message), "{text}");
        }
    }

    #[test]
    fn bad_options_are_refused() {
        for options in [quote!(nam = "x"), quote!(name = ""), quote!(name = "a b"), quote!(name)] {
            let text = expanded(
                options,
                quote!(
                    fn a() {}
                ),
            );
            assert!(text.contains("compile_error"), "{text}");
        }
    }
}
