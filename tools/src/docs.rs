//! The pages of `docs/commands`, made from what `--help` says, so that both always say the same. The test fails where a page is old;
//! `TPUC_UPDATE_DOCS=1 cargo test -p tpuc docs` writes them.

use crate::COMMANDS;
use clap::{Arg, Command};
use std::fmt::Write as _;
use std::path::Path;

/// One page.
fn page(name: &str, mut command: Command) -> String {
    command.build();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut out = format!("# {name}\n\n{about}.\n\n");
    usage(&mut out, &mut command);
    for sub in command.get_subcommands_mut() {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        write!(out, "\n## {name} {}\n\n{about}.\n\n", sub.get_name()).ok();
        usage(&mut out, sub);
        arguments(&mut out, sub, true);
    }
    if command.get_subcommands().next().is_some() {
        out.push_str("\n## Everywhere\n");
    }
    arguments(&mut out, &command, false);
    sections(&mut out, &command.get_after_help().map(ToString::to_string).unwrap_or_default());
    out
}

fn usage(out: &mut String, command: &mut Command) {
    let usage = command.render_usage().to_string();
    writeln!(out, "```text\n{}\n```", usage.trim_start_matches("Usage: ").replace("\n       ", "\n")).ok();
}

/// A table of arguments and options. Of a sub-command only its own ones.
fn arguments(out: &mut String, command: &Command, is_sub: bool) {
    let hidden = |a: &&Arg| a.is_hide_set() || matches!(a.get_id().as_str(), "help" | "version") || (is_sub && a.is_global_set());
    let list: Vec<&Arg> = command.get_arguments().filter(|a| !hidden(a) && a.get_help().is_some()).collect();
    if list.is_empty() {
        return;
    }
    out.push_str("\n| | | default |\n| --- | --- | --- |\n");
    for argument in list {
        let values = argument.get_default_values().iter().map(|v| v.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let default = if values.is_empty() || !argument.get_action().takes_values() { String::new() } else { format!("`{values}`") };
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
        writeln!(out, "| `{}` | {help} | {default} |", name(argument)).ok();
    }
}

/// `-o, --output <FILE>`, `<FILE>`
fn name(argument: &Arg) -> String {
    let names: Vec<_> = argument.get_value_names().unwrap_or_default().iter().map(|n| format!("<{n}>")).collect();
    let values = if argument.get_action().takes_values() { names.join(" ") } else { String::new() };
    let short = argument.get_short().map(|s| format!("-{s}"));
    let flags: Vec<_> = short.into_iter().chain(argument.get_long().map(|l| format!("--{l}"))).collect();
    [flags.join(", "), values].iter().filter(|s| !s.is_empty()).cloned().collect::<Vec<_>>().join(" ")
}

/// The texts behind the options: a line at the margin is a heading, what is indented below it is shown as it is.
fn sections(out: &mut String, text: &str) {
    let mut is_open = false;
    for line in text.lines() {
        match line.strip_prefix("  ") {
            Some(body) => {
                if !std::mem::replace(&mut is_open, true) {
                    out.push_str("\n```text\n");
                }
                writeln!(out, "{body}").ok();
            }
            None => {
                if std::mem::take(&mut is_open) {
                    out.push_str("```\n");
                }
                match line.strip_suffix(':') {
                    Some(heading) if heading.chars().next().is_some_and(char::is_uppercase) => write!(out, "\n## {heading}\n").unwrap_or(()),
                    _ if line.is_empty() => {}
                    _ => write!(out, "\n{line}\n").unwrap_or(()),
                }
            }
        }
    }
    if is_open {
        out.push_str("```\n");
    }
}

#[test]
fn pages_say_what_help_says() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/commands"));
    let update = std::env::var_os("TPUC_UPDATE_DOCS").is_some();
    for command in COMMANDS {
        let Some(describe) = command.describe else { continue };
        let file = folder.join(format!("{}.md", command.name));
        let expected = page(command.name, describe());
        if update {
            tpuc_tensor::file::write(&file, expected.as_bytes()).expect("the page can be written");
        }
        let found = tpuc_tensor::file::read_to_string(&file).unwrap_or_default();
        assert!(found == expected, "{} is old: run TPUC_UPDATE_DOCS=1 cargo test -p tpuc docs", file.display());
    }
}
