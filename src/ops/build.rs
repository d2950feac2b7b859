//! Turns the dialects' TableGen into plain structs: one struct an op, its attributes as native fields, and the tables
//! (`OpSpec`) that everything generic reads. Writes `$OUT_DIR/generated.rs`.

use std::fmt::Write as _;
use std::path::PathBuf;
use tblgen::{RecordKeeper, TableGenParser, record::Record};

/// What an attribute is in Rust.
#[derive(Clone)]
enum Kind {
    Plain { variant: &'static str, rust: &'static str },
    Enum { rust: String },
}

struct Attribute {
    name: String,
    kind: Kind,
    optional: bool,
    default: Option<String>,
}

struct Argument {
    name: String,
    variadic: bool,
}

struct OpDef {
    dialect: String,
    mnemonic: String,
    summary: String,
    operands: Vec<Argument>,
    results: Vec<Argument>,
    attributes: Vec<Attribute>,
}

fn main() {
    let dialects = PathBuf::from(env("CARGO_MANIFEST_DIR")).join("../../dialects");
    let llvm = std::env::var("TABLEGEN_220_PREFIX").unwrap_or_else(|_| "/usr/lib/llvm-22".into());
    println!("cargo:rerun-if-env-changed=TABLEGEN_220_PREFIX");
    for folder in ["Top", "Tpu", "Interfaces"] {
        println!("cargo:rerun-if-changed={}", dialects.join(folder).display());
    }
    let mut out = String::new();
    let mut ops = Vec::new();
    let keeper = TableGenParser::new()
        .add_source("include \"Top/TopOps.td\"\ninclude \"Tpu/TpuOps.td\"\n")
        .expect("the source is a string")
        .add_include_directory(&dialects.to_string_lossy())
        .add_include_directory(&format!("{llvm}/include"))
        .parse()
        .unwrap_or_else(|e| panic!("dialects: {e}"));
    for dialect in ["top", "tpu"] {
        writeln!(out, "/// Ops of the `{dialect}` dialect as plain structs.\npub mod {dialect} {{\nuse crate::attr::*;").ok();
        enums(&mut out, &keeper, dialect);
        for record in keeper.all_derived_definitions("Op") {
            let op = op_def(record);
            if op.dialect == dialect {
                op_struct(&mut out, &op);
                ops.push(op);
            }
        }
        out.push_str("}\n");
    }
    op_enum(&mut out, &ops);
    std::fs::write(PathBuf::from(env("OUT_DIR")).join("generated.rs"), out).expect("OUT_DIR is writable");
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// The Rust identifier of an op: `None` would shadow `Option::None`.
fn rust_name(mnemonic: &str) -> String {
    if mnemonic == "None" { "NoneOp".into() } else { mnemonic.into() }
}

fn variant(op: &OpDef) -> String {
    let mut dialect = op.dialect.clone();
    dialect[..1].make_ascii_uppercase();
    dialect + op.mnemonic.as_str()
}

fn enums(out: &mut String, keeper: &RecordKeeper, dialect: &str) {
    let mut mnemonics = Vec::new();
    for record in keeper.all_derived_definitions("EnumAttr") {
        let owner = record.def_value("dialect").and_then(|d| d.str_value("name").map(str::to_owned).map_err(Into::into));
        if owner.ok().as_deref() != Some(dialect) {
            continue;
        }
        let info = record.def_value("enum").expect("an EnumAttr has an enum");
        let name = info.str_value("className").expect("an enum has a class name");
        let mnemonic = record.str_value("mnemonic").expect("an EnumAttr has a mnemonic");
        mnemonics.push(mnemonic.to_owned());
        let summary = info.str_value("summary").unwrap_or_default();
        let cases: Vec<String> = info
            .list_of_defs_value("enumerants")
            .expect("an enum has cases")
            .into_iter()
            .map(|c| c.str_value("str").expect("a case has a name").to_owned())
            .collect();
        writeln!(out, "/// {summary}.\n#[allow(non_camel_case_types)]\n#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]\npub enum {name} {{").ok();
        for (i, case) in cases.iter().enumerate() {
            writeln!(out, "    {}{case},", if i == 0 { "#[default]\n    " } else { "" }).ok();
        }
        writeln!(out, "}}\nimpl EnumAttribute for {name} {{\n    const DIALECT: &'static str = \"{dialect}\";\n    const MNEMONIC: &'static str = \"{mnemonic}\";\n    const CASES: &'static [&'static str] = &{cases:?};").ok();
        writeln!(out, "    fn case(self) -> &'static str {{ Self::CASES[self as usize] }}").ok();
        writeln!(out, "    fn from_case(case: &str) -> Option<Self> {{\n        match case {{").ok();
        for case in &cases {
            writeln!(out, "            \"{case}\" => Some({name}::{case}),").ok();
        }
        out.push_str("            _ => None,\n        }\n    }\n}\n");
    }
    writeln!(out, "/// Mnemonics of the dialect's enumerations.\npub const ENUMERATIONS: &[&str] = &{mnemonics:?};").ok();
}

fn op_def(record: Record) -> OpDef {
    let name = record.name().unwrap_or("?").to_owned();
    let text = |r: Record, field: &str| r.str_value(field).map(str::to_owned).unwrap_or_default();
    let dialect = record.def_value("opDialect").map(|d| text(d, "name")).unwrap_or_default();
    let mut op = OpDef {
        dialect,
        mnemonic: text(record, "opName"),
        summary: text(record, "summary"),
        operands: Vec::new(),
        results: Vec::new(),
        attributes: Vec::new(),
    };
    for (argument, init) in record.dag_value("arguments").expect("an op has arguments").args() {
        let argument = argument.expect("an argument has a name");
        let constraint: Record = init.as_def().unwrap_or_else(|_| panic!("{name}: ${argument} is no def")).into();
        if constraint.subclass_of("Attr") {
            op.attributes.push(attribute(&name, argument, constraint));
        } else {
            op.operands.push(Argument { name: argument.into(), variadic: constraint.subclass_of("Variadic") });
        }
    }
    for (result, init) in record.dag_value("results").expect("an op has results").args() {
        let result = result.expect("a result has a name");
        let constraint: Record = init.as_def().unwrap_or_else(|_| panic!("{name}: ${result} is no def")).into();
        op.results.push(Argument { name: result.into(), variadic: constraint.subclass_of("Variadic") });
    }
    op
}

fn attribute(op: &str, name: &str, constraint: Record) -> Attribute {
    let optional = constraint.subclass_of("OptionalAttr");
    let wrapped = optional || constraint.subclass_of("DefaultValuedAttr");
    let base = if wrapped { constraint.def_value("baseAttr").expect("a wrapped attribute has a base") } else { constraint };
    let kind = match base.name().unwrap_or_default() {
        "BoolAttr" => Kind::Plain { variant: "Bool", rust: "bool" },
        "I64Attr" => Kind::Plain { variant: "I64", rust: "i64" },
        "SI32Attr" => Kind::Plain { variant: "Si32", rust: "i32" },
        "UI32Attr" => Kind::Plain { variant: "Ui32", rust: "u32" },
        "F64Attr" => Kind::Plain { variant: "F64", rust: "f64" },
        "StrAttr" => Kind::Plain { variant: "Str", rust: "String" },
        "I64ArrayAttr" | "ChannelI64ArrayAttr" => Kind::Plain { variant: "I64Array", rust: "Vec<i64>" },
        "F64ArrayAttr" => Kind::Plain { variant: "F64Array", rust: "Vec<f64>" },
        other if base.subclass_of("EnumAttr") => {
            let info = base.def_value("enum").expect("an EnumAttr has an enum");
            Kind::Enum { rust: info.str_value("className").unwrap_or(other).to_owned() }
        }
        other => panic!("{op}: attribute ${name} of kind {other} has no Rust form; add it to src/ops/build.rs"),
    };
    let default = (wrapped && !optional).then(|| constraint.str_value("defaultValue").unwrap_or_default().to_owned());
    Attribute { name: name.into(), kind, optional, default }
}

/// The default value of the .td (a C++ expression) as a Rust expression.
fn default_expression(attribute: &Attribute) -> String {
    if attribute.optional {
        return "None".into();
    }
    let Some(text) = attribute.default.as_deref() else { return "Default::default()".into() };
    match &attribute.kind {
        Kind::Plain { variant: "Str", .. } => {
            let text = text.trim_matches('"').trim_matches('\\').trim_matches('"').trim_end_matches("\\\"");
            format!("String::from({text:?})")
        }
        Kind::Plain { variant: "I64Array" | "F64Array", .. } => format!("vec![{}]", text.trim_matches(['{', '}'])),
        Kind::Plain { .. } => text.to_owned(),
        Kind::Enum { rust } => format!("{rust}::{}", text.rsplit("::").next().unwrap_or(text)),
    }
}

fn field(name: &str) -> String {
    if matches!(name, "type" | "mode_" | "loop" | "move") { format!("r#{name}") } else { name.to_owned() }
}

fn op_struct(out: &mut String, op: &OpDef) {
    let rust = rust_name(&op.mnemonic);
    writeln!(out, "/// `{}.{}`: {}.", op.dialect, op.mnemonic, op.summary).ok();
    writeln!(out, "#[derive(Debug, Clone, PartialEq)]\n#[allow(non_snake_case)]\npub struct {rust} {{").ok();
    for a in &op.attributes {
        let ty = match &a.kind {
            Kind::Plain { rust, .. } => (*rust).to_owned(),
            Kind::Enum { rust } => rust.clone(),
        };
        let ty = if a.optional { format!("Option<{ty}>") } else { ty };
        writeln!(out, "    pub {}: {ty},", field(&a.name)).ok();
    }
    writeln!(out, "}}\nimpl Default for {rust} {{\n    fn default() -> Self {{\n        {rust} {{").ok();
    for a in &op.attributes {
        writeln!(out, "            {}: {},", field(&a.name), default_expression(a)).ok();
    }
    out.push_str("        }\n    }\n}\n");

    writeln!(out, "impl {rust} {{\n    pub const SPEC: OpSpec = OpSpec {{\n        name: \"{}.{}\",\n        summary: {:?},", op.dialect, op.mnemonic, op.summary).ok();
    for (label, list) in [("operands", &op.operands), ("results", &op.results)] {
        let items: Vec<String> = list.iter().map(|o| format!("ValueSpec {{ name: \"{}\", variadic: {} }}", o.name, o.variadic)).collect();
        writeln!(out, "        {label}: &[{}],", items.join(", ")).ok();
    }
    let items: Vec<String> = op
        .attributes
        .iter()
        .map(|a| {
            let kind = match &a.kind {
                Kind::Plain { variant, .. } => format!("AttrKind::{variant}"),
                Kind::Enum { rust } => format!("AttrKind::Enum {{ dialect: {rust}::DIALECT, mnemonic: {rust}::MNEMONIC, cases: {rust}::CASES }}"),
            };
            format!("AttrSpec {{ name: \"{}\", kind: {kind}, required: {} }}", a.name, !a.optional && a.default.is_none())
        })
        .collect();
    writeln!(out, "        attributes: &[{}],\n    }};", items.join(", ")).ok();

    writeln!(out, "    /// Reads the attributes; absent ones take their defaults, unknown ones are ignored.\n    pub fn from_attrs(attributes: &[(String, Attr)]) -> Result<{rust}, AttrError> {{").ok();
    writeln!(out, "        #[allow(unused_mut)]\n        let mut op = {rust}::default();\n        let _ = attributes;").ok();
    for a in &op.attributes {
        let name = &a.name;
        let target = field(name);
        let get = match &a.kind {
            Kind::Plain { variant, .. } => format!("plain!(attributes, \"{name}\", {variant})"),
            Kind::Enum { rust } => format!("read_enum::<{rust}>(attributes, \"{name}\")?"),
        };
        if a.optional {
            writeln!(out, "        op.{target} = {get};").ok();
        } else if a.default.is_some() {
            writeln!(out, "        if let Some(v) = {get} {{ op.{target} = v; }}").ok();
        } else {
            writeln!(out, "        op.{target} = {get}.ok_or(AttrError::Missing {{ name: \"{name}\" }})?;").ok();
        }
    }
    out.push_str("        Ok(op)\n    }\n");

    out.push_str("    /// The attributes in the order of the declaration; absent optional ones are left out.\n    pub fn to_attrs(&self) -> Vec<(&'static str, Attr)> {\n        #[allow(unused_mut)]\n        let mut list = Vec::new();\n");
    for a in &op.attributes {
        let name = &a.name;
        let target = field(name);
        let wrap = |v: &str| match &a.kind {
            Kind::Plain { variant, .. } => format!("Attr::{variant}({v}.clone())"),
            Kind::Enum { .. } => format!("write_enum(*{v})"),
        };
        if a.optional {
            writeln!(out, "        if let Some(v) = &self.{target} {{ list.push((\"{name}\", {})); }}", wrap("v")).ok();
        } else {
            writeln!(out, "        {{ let v = &self.{target}; list.push((\"{name}\", {})); }}", wrap("v")).ok();
        }
    }
    out.push_str("        list\n    }\n}\n");
}

fn op_enum(out: &mut String, ops: &[OpDef]) {
    out.push_str("/// Any op of the two dialects.\n#[derive(Debug, Clone, PartialEq)]\npub enum Op {\n");
    for op in ops {
        writeln!(out, "    {}({}::{}),", variant(op), op.dialect, rust_name(&op.mnemonic)).ok();
    }
    out.push_str("}\nimpl Op {\n    /// The names of all ops, `dialect.Mnemonic`.\n    pub const NAMES: &'static [&'static str] = &[");
    for op in ops {
        write!(out, "\"{}.{}\", ", op.dialect, op.mnemonic).ok();
    }
    out.push_str("];\n    pub fn spec(&self) -> &'static attr::OpSpec {\n        match self {\n");
    for op in ops {
        writeln!(out, "            Op::{}(_) => &{}::{}::SPEC,", variant(op), op.dialect, rust_name(&op.mnemonic)).ok();
    }
    out.push_str("        }\n    }\n    /// The specification of an op by its name.\n    pub fn spec_of(name: &str) -> Option<&'static attr::OpSpec> {\n        match name {\n");
    for op in ops {
        writeln!(out, "            \"{}.{}\" => Some(&{}::{}::SPEC),", op.dialect, op.mnemonic, op.dialect, rust_name(&op.mnemonic)).ok();
    }
    out.push_str("            _ => None,\n        }\n    }\n    /// The attributes, sorted by name.\n    pub fn to_attrs(&self) -> Vec<(&'static str, attr::Attr)> {\n        let mut list = match self {\n");
    for op in ops {
        writeln!(out, "            Op::{}(op) => op.to_attrs(),", variant(op)).ok();
    }
    out.push_str("        };\n        list.sort_by_key(|(name, _)| *name);\n        list\n    }\n");
    let with_mode: Vec<_> = ops.iter().filter(|op| op.attributes.iter().any(|a| a.name == "quantize_mode")).map(|op| format!("Op::{}(op)", variant(op))).collect();
    writeln!(out, "    /// The mode in which a Top op is to be lowered, where one is set.\n    pub fn quantize_mode(&self) -> Option<&str> {{\n        match self {{\n            {} => op.quantize_mode.as_deref(),\n            _ => None,\n        }}\n    }}", with_mode.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(" => op.quantize_mode.as_deref(),\n            ")).ok();
    writeln!(out, "    /// Sets or clears that mode; false for ops that have none.\n    pub fn set_quantize_mode(&mut self, mode: Option<String>) -> bool {{\n        match self {{\n            {} => op.quantize_mode = mode,\n            _ => return false,\n        }}\n        true\n    }}", with_mode.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(" => op.quantize_mode = mode,\n            ")).ok();
    out.push_str("    /// The op of this name with these attributes.\n    pub fn from_attrs(name: &str, attributes: &[(String, attr::Attr)]) -> Result<Op, OpError> {\n        let result = match name {\n");
    for op in ops {
        writeln!(out, "            \"{}.{}\" => {}::{}::from_attrs(attributes).map(Op::{}),", op.dialect, op.mnemonic, op.dialect, rust_name(&op.mnemonic), variant(op)).ok();
    }
    out.push_str("            _ => return Err(OpError::Unknown { name: name.to_owned() }),\n        };\n        result.map_err(|e| OpError::Attribute { name: name.to_owned(), source: e })\n    }\n}\n");
    for op in ops {
        let path = format!("{}::{}", op.dialect, rust_name(&op.mnemonic));
        writeln!(out, "impl From<{path}> for Op {{ fn from(op: {path}) -> Op {{ Op::{}(op) }} }}", variant(op)).ok();
    }
}
