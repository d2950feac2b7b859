//! Turns the dialects' TableGen into typed views and builders: for every op a view whose methods are its operands and
//! results by name, and a struct of named operands that builds the op. The structs of attributes are those of `tpuc-ops`.

use std::fmt::Write as _;
use std::path::Path;
use tblgen::{TableGenParser, record::Record};

/// An operand or result of an op.
struct Value {
    name: String,
    variadic: bool,
    /// May be the `none` of a `top.None`.
    may_be_none: bool,
    /// Is never a tensor.
    is_none: bool,
}

struct Op {
    dialect: String,
    mnemonic: String,
    summary: String,
    operands: Vec<Value>,
    results: Vec<Value>,
}

impl Op {
    /// The name of its struct in `tpuc_ops`: `None` would shadow `Option::None`.
    fn attributes(&self) -> String {
        let name = if self.mnemonic == "None" { "NoneOp" } else { &self.mnemonic };
        format!("tpuc_ops::{}::{name}", self.dialect)
    }

    /// Its variant in `tpuc_ops::Op` and in `AnyView`.
    fn variant(&self) -> String {
        let mut dialect = self.dialect.clone();
        dialect[..1].make_ascii_uppercase();
        dialect + &self.mnemonic
    }
}

/// The text of `$OUT_DIR/views.rs`. `folder` is the one that holds `Top/` and `Tpu/`.
pub fn generate(folder: &Path, llvm: &str) -> String {
    let keeper = TableGenParser::new()
        .add_source("include \"Top/TopOps.td\"\ninclude \"Tpu/TpuOps.td\"\n")
        .expect("the source is a string")
        .add_include_directory(&folder.to_string_lossy())
        .add_include_directory(&format!("{llvm}/include"))
        .parse()
        .unwrap_or_else(|e| panic!("dialects: {e}"));
    let mut ops: Vec<Op> = keeper.all_derived_definitions("Op").map(read).collect();
    ops.retain(|op| matches!(op.dialect.as_str(), "top" | "tpu"));
    let mut out = String::new();
    for dialect in ["top", "tpu"] {
        writeln!(out, "/// Views and builders of the `{dialect}` dialect. Operands have the names of the .td.\n#[allow(non_snake_case)]\npub mod {dialect} {{\nuse super::*;").ok();
        for op in ops.iter().filter(|op| op.dialect == dialect) {
            view(&mut out, op);
            builder(&mut out, op);
        }
        out.push_str("}\n");
    }
    any_view(&mut out, &ops);
    out
}

fn read(record: Record) -> Op {
    let name = record.name().unwrap_or("?").to_owned();
    let text = |r: Record, field: &str| r.str_value(field).unwrap_or_default().to_owned();
    let values = |field: &str| {
        let list: Vec<Value> = record
            .dag_value(field)
            .unwrap_or_else(|e| panic!("{name}: {field}: {e}"))
            .args()
            .filter_map(|(argument, init)| {
                let argument = argument.expect("an argument has a name");
                let constraint: Record = init.as_def().unwrap_or_else(|_| panic!("{name}: ${argument} is no def")).into();
                (!constraint.subclass_of("Attr")).then(|| value(argument, constraint))
            })
            .collect();
        assert!(list.iter().filter(|v| v.variadic).count() <= 1, "{name}: at most one of its {field} can be variadic");
        list
    };
    Op {
        dialect: record.def_value("opDialect").map(|d| text(d, "name")).unwrap_or_default(),
        mnemonic: text(record, "opName"),
        summary: text(record, "summary"),
        operands: values("arguments"),
        results: values("results"),
    }
}

fn value(name: &str, constraint: Record) -> Value {
    let is_none_type = |r: Record| r.name() == Ok("NoneType");
    let allowed = constraint.list_of_defs_value("allowedTypes").unwrap_or_default();
    Value {
        name: name.into(),
        variadic: constraint.subclass_of("Variadic"),
        may_be_none: allowed.into_iter().any(is_none_type),
        is_none: is_none_type(constraint),
    }
}

fn view(out: &mut String, op: &Op) {
    let Op { dialect, mnemonic, summary, .. } = op;
    let attributes = op.attributes();
    writeln!(out, "/// `{dialect}.{mnemonic}`: {summary}.").ok();
    writeln!(out, "#[derive(Clone, Copy)]\npub struct {mnemonic}View<'c, 'a>(OpView<'c, 'a>);").ok();
    writeln!(out, "impl<'c: 'a, 'a> {mnemonic}View<'c, 'a> {{").ok();
    writeln!(out, "    /// The view of an operation, if it is a `{dialect}.{mnemonic}`.").ok();
    writeln!(out, "    pub fn of(operation: OperationRef<'c, 'a>) -> Option<Self> {{ OpView::new(operation).checked(&{attributes}::SPEC).map(Self) }}").ok();
    writeln!(out, "    /// The attributes.").ok();
    writeln!(out, "    pub fn attrs(self) -> Result<{attributes}, OpError> {{ self.0.attrs(&{attributes}::SPEC, {attributes}::from_attrs) }}").ok();
    writeln!(out, "    /// Replaces the attributes. The operation may be invalid afterwards: `verify` says.").ok();
    writeln!(out, "    pub fn set_attrs(self, attributes: &{attributes}) {{ self.0.set_attrs(&Op::from(attributes.clone())) }}").ok();
    for (list, getter) in [(&op.operands, "operand"), (&op.results, "result")] {
        accessors(out, list, getter);
    }
    writeln!(out, "}}\nimpl<'c, 'a> std::ops::Deref for {mnemonic}View<'c, 'a> {{\n    type Target = OpView<'c, 'a>;\n    fn deref(&self) -> &OpView<'c, 'a> {{ &self.0 }}\n}}").ok();
}

/// One method a value. Values behind a variadic one are counted from the end.
fn accessors(out: &mut String, list: &[Value], getter: &str) {
    let variadic = list.iter().position(|v| v.variadic);
    for (index, value) in list.iter().enumerate() {
        let name = &value.name;
        let behind = list.len() - 1 - index;
        if value.variadic {
            writeln!(out, "    /// The {getter}s `{name}`.").ok();
            writeln!(out, "    pub fn {name}(self) -> impl Iterator<Item = Value<'c, 'a>> {{ ({index}..self.0.{getter}_count() - {behind}).map(move |i| self.0.{getter}(i)) }}").ok();
            continue;
        }
        let position = if variadic.is_some_and(|v| v < index) { format!("self.0.{getter}_count() - {}", behind + 1) } else { index.to_string() };
        let get = format!("self.0.{getter}({position})");
        if value.may_be_none {
            writeln!(out, "    /// The {getter} `{name}`, if there is one.").ok();
            writeln!(out, "    pub fn {name}(self) -> Option<Value<'c, 'a>> {{ present({get}) }}").ok();
        } else {
            writeln!(out, "    /// The {getter} `{name}`.").ok();
            writeln!(out, "    pub fn {name}(self) -> Value<'c, 'a> {{ {get} }}").ok();
        }
    }
}

fn builder(out: &mut String, op: &Op) {
    let Op { dialect, mnemonic, .. } = op;
    let lifetimes = if op.operands.is_empty() { "" } else { "<'c, 'a>" };
    writeln!(out, "/// The operands of a new `{dialect}.{mnemonic}`.\n#[derive(Clone, Copy)]\npub struct {mnemonic}Operands{lifetimes} {{").ok();
    for value in &op.operands {
        if value.may_be_none {
            writeln!(out, "    /// The result of a `top.None` where absent.").ok();
        }
        writeln!(out, "    pub {}: {},", value.name, if value.variadic { "&'a [Value<'c, 'a>]" } else { "Value<'c, 'a>" }).ok();
    }
    let lifetimes = if op.operands.is_empty() { "" } else { "<'c, '_>" };
    writeln!(out, "}}\nimpl<'c> {mnemonic}Operands{lifetimes} {{").ok();
    let mut parameters = String::new();
    for value in op.results.iter().filter(|r| !r.is_none) {
        let ty = if value.variadic { "&[TensorType]" } else { "&TensorType" };
        write!(parameters, ", {}: {ty}", value.name).ok();
    }
    let operand = |v: &Value| format!("self.{}", v.name);
    let operands = sequence("Value<'c, '_>", &op.operands, operand, operand);
    let one_type = |v: &Value| if v.is_none { "ValueType::None".into() } else { format!("ValueType::Tensor({}.clone())", v.name) };
    let types = sequence("ValueType", &op.results, one_type, |v| format!("&{}.iter().cloned().map(ValueType::Tensor).collect::<Vec<_>>()", v.name));
    writeln!(out, "    /// An operation that belongs to nobody yet, with the types of its results and a layer name for each.").ok();
    writeln!(out, "    pub fn build(self, context: &'c Context, attributes: &{}{parameters}, layers: &[&str]) -> Result<Operation<'c>, ModuleError> {{", op.attributes()).ok();
    writeln!(out, "        build_op(context, &Op::from(attributes.clone()), &{operands}, &{types}, layers)\n    }}\n}}").ok();
}

/// An expression for all values in order: an array, or a vector where one of them is many.
fn sequence(ty: &str, list: &[Value], one: impl Fn(&Value) -> String, many: impl Fn(&Value) -> String) -> String {
    if list.iter().any(|v| v.variadic) {
        let parts: Vec<String> = list.iter().map(|v| if v.variadic { many(v) } else { format!("&[{}]", one(v)) }).collect();
        return format!("<[&[{ty}]]>::concat(&[{}])", parts.join(", "));
    }
    format!("[{}]", list.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn any_view(out: &mut String, ops: &[Op]) {
    out.push_str("/// The view of any op of the two dialects.\n#[derive(Clone, Copy)]\npub enum AnyView<'c, 'a> {\n");
    for op in ops {
        writeln!(out, "    {}({}::{}View<'c, 'a>),", op.variant(), op.dialect, op.mnemonic).ok();
    }
    out.push_str("}\nimpl<'c: 'a, 'a> AnyView<'c, 'a> {\n    /// The view of an operation, if it is one of ours.\n    pub fn of(operation: OperationRef<'c, 'a>) -> Option<Self> {\n        match OpView::new(operation).name().as_str() {\n");
    for op in ops {
        writeln!(out, "            \"{d}.{m}\" => {d}::{m}View::of(operation).map(Self::{}),", op.variant(), d = op.dialect, m = op.mnemonic).ok();
    }
    out.push_str("            _ => None,\n        }\n    }\n}\nimpl<'c, 'a> std::ops::Deref for AnyView<'c, 'a> {\n    type Target = OpView<'c, 'a>;\n    fn deref(&self) -> &OpView<'c, 'a> {\n        match self {\n");
    for op in ops {
        writeln!(out, "            Self::{}(view) => view,", op.variant()).ok();
    }
    out.push_str("        }\n    }\n}\n");
}
