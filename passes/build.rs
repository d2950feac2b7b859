//! Reads `Passes.td` and writes `$OUT_DIR/passes.rs`: an options struct a pass and the table that registers them.

use std::fmt::Write as _;
use std::path::PathBuf;
use tblgen::{TableGenParser, record::Record};

fn main() {
    println!("cargo:rerun-if-changed=Passes.td");
    println!("cargo:rerun-if-env-changed=TABLEGEN_220_PREFIX");
    let llvm = std::env::var("TABLEGEN_220_PREFIX").unwrap_or_else(|_| "/usr/lib/llvm-22".into());
    let keeper = TableGenParser::new()
        .add_source("include \"Passes.td\"\n")
        .expect("the source is a string")
        .add_include_directory(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"))
        .add_include_directory(&format!("{llvm}/include"))
        .parse()
        .unwrap_or_else(|e| panic!("Passes.td: {e}"));
    let mut structs = String::new();
    let mut table = String::from("/// Every pass.\npub static PASSES: &[PassSpec] = &[\n");
    for record in keeper.all_derived_definitions("ModulePass") {
        pass(&mut structs, &mut table, record);
    }
    table.push_str("];\n");
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets OUT_DIR")).join("passes.rs");
    std::fs::write(out, structs + &table).expect("OUT_DIR is writable");
}

fn pass(structs: &mut String, table: &mut String, record: Record) {
    let name = record.name().expect("a pass has a name");
    let text = |field: &str| record.str_value(field).unwrap_or_default().trim().to_owned();
    let (argument, summary) = (text("argument"), text("summary"));
    let options = record.list_of_defs_value("options").unwrap_or_default();
    writeln!(structs, "/// Options of `{argument}`.\n#[derive(Debug, Clone, PartialEq)]\npub struct {name}Options {{").ok();
    let mut parse = String::new();
    let mut specs = String::new();
    for (index, option) in options.iter().enumerate() {
        let get = |field: &str| option.str_value(field).unwrap_or_default().to_owned();
        let (field, argument, description) = (snake(&get("cppName")), get("argument"), get("description"));
        let default = get("defaultValue").trim_matches('"').to_owned();
        let ty = match get("type").as_str() {
            "std::string" => "String",
            "bool" => "bool",
            "int64_t" => "i64",
            "double" => "f64",
            other => panic!("{name}: option {argument} has the unknown type {other}"),
        };
        writeln!(structs, "    /// {description}.\n    pub {field}: {ty},").ok();
        let value = if ty == "String" { format!("values[{index}].clone()") } else { format!("parse_option(\"{argument}\", &values[{index}])?") };
        writeln!(parse, "            {field}: {value},").ok();
        writeln!(specs, "        OptionSpec {{ name: \"{argument}\", description: {description:?}, default: {default:?}, is_flag: {} }},", ty == "bool").ok();
    }
    let module = snake(name);
    writeln!(
        structs,
        "}}\nimpl {name}Options {{\n    fn read(values: &[String]) -> Result<{name}Options, String> {{\n        let _ = values;\n        Ok({name}Options {{\n{parse}        }})\n    }}\n}}"
    )
    .ok();
    writeln!(
        table,
        "    PassSpec {{\n        argument: \"{argument}\",\n        summary: {summary:?},\n        options: &[\n{specs}        ],\n        run: |module, values| crate::{module}::run(module, &{name}Options::read(values)?),\n    }},"
    )
    .ok();
}

/// `FuseRelu` and `modelFile` as `fuse_relu` and `model_file`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}
