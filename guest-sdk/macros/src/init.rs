//! Expansion of `#[init]`: the function stays as it is, and the export that the host calls is added next to it.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, ItemFn, ReturnType};

use crate::beside;

/// The contract's `INITIALIZER_EXPORT`; `wrun-guest` asserts that the two agree.
const EXPORT: &str = "wizer-initialize";

/// The function and its export, or the function and a compile error.
pub fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    beside(&item, try_expand(options, &item))
}

fn try_expand(options: TokenStream, item: &TokenStream) -> Result<TokenStream, Error> {
    if !options.is_empty() {
        return Err(Error::new(options.span(), "#[wrun_guest::init] has no options: a module has one initializer"));
    }
    let function: ItemFn = syn::parse2(item.clone())
        .map_err(|error| Error::new(error.span(), "#[wrun_guest::init] belongs on a function with a body"))?;
    let signature = &function.sig;
    let refused = |span, why: &str| Err(Error::new(span, format!("an initializer cannot {why}")));
    if let Some(parameter) = signature.inputs.first() {
        return refused(parameter.span(), "have parameters: it runs once for all tasks");
    }
    if let Some(token) = &signature.asyncness {
        return refused(token.span(), "be async: it runs alone in its own instance");
    }
    if let Some(token) = &signature.unsafety {
        return refused(token.span(), "be unsafe: the host calls it");
    }
    if !signature.generics.params.is_empty() {
        return refused(signature.generics.span(), "be generic: the host knows only its name");
    }
    let name = &signature.ident;
    let result_span = match &signature.output {
        ReturnType::Default => name.span(),
        ReturnType::Type(_, ty) => ty.span(),
    };
    let finish = quote_spanned!(result_span=> ::wrun_guest::__private::Initialized::check(#name()););
    let conditions = function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    Ok(quote! {
        #(#conditions)*
        const _: () = {
            ::wrun_guest::__private::assert_initializer_export(#EXPORT);

            #[cfg_attr(target_family = "wasm", unsafe(export_name = #EXPORT))]
            #[allow(dead_code)]
            extern "C" fn initialize() {
                ::wrun_guest::__private::prepare_instance();
                #finish
            }
        };
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_export_has_the_contracts_name() {
        let text = expand(
            quote!(),
            quote!(
                fn load() {}
            ),
        );
        let text = text.to_string();
        assert!(text.contains("export_name = \"wizer-initialize\"") && !text.contains("compile_error"), "{text}");
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for (options, item, message) in [
            (
                quote!(),
                quote!(
                    fn a(text: &str) {}
                ),
                "cannot have parameters",
            ),
            (
                quote!(),
                quote!(
                    async fn a() {}
                ),
                "cannot be async",
            ),
            (
                quote!(),
                quote!(
                    unsafe fn a() {}
                ),
                "cannot be unsafe",
            ),
            (
                quote!(),
                quote!(
                    fn a<T>() {}
                ),
                "cannot be generic",
            ),
            (
                quote!(),
                quote!(
                    struct A;
                ),
                "belongs on a function",
            ),
            (
                quote!(name = "x"),
                quote!(
                    fn a() {}
                ),
                "has no options",
            ),
        ] {
            let text = expand(options, item).to_string();
            assert!(text.contains("compile_error") && text.contains(message), "{text}");
        }
    }
}
