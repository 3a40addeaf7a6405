//! Manual pages, made from the definition of the command line.

use std::io::{self, Write as _};

use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::{ENVIRONMENT, EXIT_CODES};

/// A manual page in roff.
pub struct ManPage {
    /// Such as `wrun-map.1`.
    pub file_name: String,
    /// The whole page.
    pub text: String,
}

/// The page of `wrun` itself.
pub fn main_page(definition: &clap::Command) -> ManPage {
    let definition = for_pages(definition);
    let pages = definition.get_subcommands().map(|subcommand| page_name(subcommand) + "(1)");
    page(&definition, &pages.collect::<Vec<_>>())
}

/// The pages of `wrun` and of all subcommands.
pub fn all_pages(definition: &clap::Command) -> Vec<ManPage> {
    let built = for_pages(definition);
    let subcommands = built.get_subcommands().map(|subcommand| page(subcommand, &["wrun(1)".to_owned()]));
    std::iter::once(main_page(definition)).chain(subcommands).collect()
}

/// The definition with names and headings as manual pages have them.
fn for_pages(definition: &clap::Command) -> clap::Command {
    let mut definition = definition.clone().disable_help_subcommand(true);
    definition.build();
    definition.mut_args(with_heading).mut_subcommands(|subcommand| subcommand.mut_args(with_heading))
}

fn with_heading(arg: clap::Arg) -> clap::Arg {
    let arg = if arg.get_id() == "help" { arg.help("Print help; -h prints a summary") } else { arg };
    match arg.get_help_heading() {
        Some(_) => arg,
        None if arg.is_positional() => arg.help_heading("Arguments"),
        None => arg.help_heading("Other options"),
    }
}

fn page_name(command: &clap::Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

fn page(command: &clap::Command, see_also: &[String]) -> ManPage {
    // All options in a line are no synopsis: clap's usage text groups them.
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let name = page_name(command);
    let has_subcommands = command.has_subcommands();
    let man = Man::new(command.clone().override_usage(usage));
    let mut text = Vec::new();
    let mut render = || {
        // The fields are title, section, date, source and manual. A date would differ from build to build.
        let version = env!("CARGO_PKG_VERSION");
        writeln!(text, ".TH {} 1 \"\" \"wrun {version}\" \"User Commands\"", name.to_uppercase())?;
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        if has_subcommands {
            man.render_subcommands_section(&mut text)?;
        }
        man.render_options_section(&mut text)?;
        closing_sections(see_also).to_writer(&mut text)?;
        io::Result::Ok(())
    };
    render().expect("a vector takes all");
    ManPage { file_name: format!("{name}.1"), text: String::from_utf8(text).expect("roff is text") }
}

/// What all pages end with.
fn closing_sections(see_also: &[String]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["ENVIRONMENT"]).text([roman(ENVIRONMENT)]);
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_CODES {
        roff.control("TP", ["6"]).text([roman(code.to_string())]).text([roman(*meaning)]);
    }
    roff.control("SH", ["SEE ALSO"]).text([roman(see_also.join(", "))]);
    roff
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::definition;

    #[test]
    fn every_subcommand_has_a_page_with_all_its_options() {
        let pages = all_pages(&definition());
        assert_eq!(pages.len(), 1 + definition().get_subcommands().count());
        assert_eq!(pages[0].file_name, "wrun.1");
        for subcommand in definition().get_subcommands() {
            let name = subcommand.get_name();
            let page = pages.iter().find(|page| page.file_name == format!("wrun-{name}.1")).unwrap();
            assert!(pages[0].text.contains(&format!("wrun\\-{name}(1)")), "{}", pages[0].text);
            for option in subcommand.get_arguments().filter_map(clap::Arg::get_long) {
                let option = format!("--{option}").replace('-', "\\-");
                assert!(page.text.contains(&option), "wrun-{name}.1 lacks {option}");
            }
        }
    }
}
