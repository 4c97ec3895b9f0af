//! Completions and the manual, from the definition of the arguments.

use clap_complete::Shell;

use crate::args;
use crate::exit::Failure;

/// The script that completes for this shell.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "starttls", &mut script);
    script
}

/// One page for all verbs.
pub(crate) fn man() -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::network("the manual page", &error);
    let mut command = args::command();
    command.build();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone());
    man.render(&mut page).map_err(failed)?;
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let man = clap_mangen::Man::new(verb.clone());
        page.extend_from_slice(
            format!(".SH \"STARTTLS {}\"\n", verb.get_name().to_uppercase()).as_bytes(),
        );
        man.render_synopsis_section(&mut page).map_err(failed)?;
        man.render_description_section(&mut page).map_err(failed)?;
        man.render_options_section(&mut page).map_err(failed)?;
        man.render_extra_section(&mut page).map_err(failed)?;
    }
    Ok(page)
}
