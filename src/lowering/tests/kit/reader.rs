//! A reader of the generic-form text that the reference writes, so that these tests need no MLIR.

use std::collections::{BTreeMap, HashMap};
use tpuc_ops::{Attr, Elem, Op, Program, TensorType, ValueId, ValueType};
use tpuc_tensor::DType;

/// An op as it is printed.
#[derive(Debug, Clone)]
pub struct RawOp {
    pub op: String,
    pub name: String,
    /// Names of values: `%3`, `%arg0`.
    pub operands: Vec<String>,
    pub result: String,
    pub attributes: Vec<(String, Attr)>,
    pub ty: ValueType,
}

/// A module as it is printed.
pub struct Module {
    pub name: String,
    pub attributes: BTreeMap<String, Attr>,
    pub arguments: Vec<TensorType>,
    pub ops: Vec<RawOp>,
    pub returns: Vec<String>,
}

impl Module {
    pub fn read(text: &str) -> Module {
        let names: HashMap<&str, String> = text.lines().filter_map(location).collect();
        let mut module = Module { name: String::new(), attributes: BTreeMap::new(), arguments: vec![], ops: vec![], returns: vec![] };
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("module @") {
                module.name = rest.split(' ').next().expect("a name").to_owned();
                module.attributes = attribute_list(&rest[rest.find('{').expect("attributes") + 1..rest.rfind("} {").expect("a body")]).into_iter().collect();
            } else if let Some(at) = line.find("@main(") {
                let (arguments, _) = line[at + 6..].split_once(") ->").expect("a function type");
                module.arguments = arguments.split("%arg").skip(1).map(|a| tensor_type(between(a, "tensor<", "> loc"))).collect();
            } else if line.starts_with('%') {
                module.ops.push(read_op(line, &names));
            } else if let Some(rest) = line.strip_prefix("return ") {
                module.returns = rest.split(" : ").next().expect("values").split(", ").map(str::to_owned).collect();
            }
        }
        module
    }

    /// The program, if all ops are known.
    pub fn program(&self) -> Program {
        let mut program = Program::new(&self.name);
        program.attrs = self.attributes.clone();
        let mut values: HashMap<&str, ValueId> = HashMap::new();
        let labels: Vec<String> = (0..self.arguments.len()).map(|i| format!("%arg{i}")).collect();
        for (label, ty) in labels.iter().zip(&self.arguments) {
            values.insert(label, program.add_input(&label[1..], ty.clone()));
        }
        for raw in &self.ops {
            let id = match (raw.op.as_str(), &raw.ty) {
                ("top.None", _) => program.none(),
                ("top.Weight", ValueType::Tensor(ty)) => program.add_weight(&raw.name, ty.clone()),
                (_, ValueType::Tensor(ty)) => {
                    let op = Op::from_attrs(&raw.op, &raw.attributes).expect("a known op");
                    let operands: Vec<ValueId> = raw.operands.iter().map(|v| values[v.as_str()]).collect();
                    program.push(op, &operands, &raw.name, ty.clone())
                }
                (op, ValueType::None) => panic!("{op} without a type"),
            };
            values.insert(&raw.result, id);
        }
        program.outputs = self.returns.iter().map(|v| values[v.as_str()]).collect();
        program.check().expect("a checked program");
        program
    }
}

fn read_op(line: &str, names: &HashMap<&str, String>) -> RawOp {
    let (result, rest) = line.split_once(" = ").expect("a result");
    let (head, types) = rest.split_once(" : (").expect("a type");
    let types = types.strip_suffix(')').expect("a location");
    let (types, label) = types.rsplit_once(" loc(").expect("a location");
    let ty = types.rsplit_once("-> ").expect("a result type").1;
    let ty = match ty {
        "none" => ValueType::None,
        _ => tensor_type(ty.strip_prefix("tensor<").expect("a tensor").strip_suffix('>').expect("a tensor")).into(),
    };
    let attributes = head.find('{').map_or(vec![], |start| attribute_list(&head[start + 1..head.rfind('}').expect("a closing brace")]));
    RawOp {
        op: between(head, "\"", "\"").to_owned(),
        name: names.get(label).cloned().unwrap_or_default(),
        operands: between(head, "(", ")").split(", ").filter(|v| !v.is_empty()).map(str::to_owned).collect(),
        result: result.to_owned(),
        attributes,
        ty,
    }
}

fn location(line: &str) -> Option<(&str, String)> {
    let (label, name) = line.split_once(" = loc(\"")?;
    Some((label, name.strip_suffix("\")")?.to_owned()))
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
    let start = text.find(open).expect("an opening") + open.len();
    &text[start..start + text[start..].find(close).expect("a closing")]
}

/// `1x3x64x64xf32`, `1x3x!quant.uniform<i8:f32, 0.02>`
fn tensor_type(text: &str) -> TensorType {
    let at = text.find('!').unwrap_or_else(|| text.rfind('x').map_or(0, |x| x + 1));
    let shape: Vec<i64> = text[..at].split('x').filter(|d| !d.is_empty()).map(|d| d.parse().expect("a dimension")).collect();
    TensorType::new(&shape, elem(&text[at..]))
}

fn elem(text: &str) -> Elem {
    let number = |t: &str| t.parse::<f64>().expect("a number");
    if let Some(rest) = text.strip_prefix("!quant.calibrated<") {
        let (expressed, range) = rest.strip_suffix(">>").and_then(|r| r.split_once('<')).expect("a range");
        let (min, max) = range.split_once(':').expect("a range");
        return Elem::Calibrated { expressed: dtype(expressed), min: number(min), max: number(max) };
    }
    if let Some(rest) = text.strip_prefix("!quant.uniform<") {
        let (types, scale) = rest.strip_suffix('>').and_then(|r| r.split_once(", ")).expect("a scale");
        let (storage, expressed) = types.split_once(':').expect("types");
        let (scale, zero_point) = scale.split_once(':').unwrap_or((scale, "0"));
        return Elem::Uniform { storage: dtype(storage), expressed: dtype(expressed), scale: number(scale), zero_point: zero_point.parse().expect("an integer") };
    }
    Elem::Plain(dtype(text))
}

fn dtype(text: &str) -> DType {
    match text {
        "f32" => DType::F32,
        "f16" => DType::F16,
        "bf16" => DType::BF16,
        "i8" | "si8" => DType::I8,
        "i16" | "si16" => DType::I16,
        "ui32" => DType::U32,
        "u8" | "ui8" => DType::U8,
        "i32" | "si32" => DType::I32,
        other => panic!("type {other}"),
    }
}

/// `a = 1 : i64, b = [1, 2], c = "x"`
fn attribute_list(text: &str) -> Vec<(String, Attr)> {
    let mut depth = 0;
    let pieces = text.split(|c| {
        depth += i32::from(matches!(c, '[' | '<')) - i32::from(matches!(c, ']' | '>'));
        c == ',' && depth == 0
    });
    let attribute = |piece: &str| {
        let (name, value) = piece.trim().split_once(" = ").expect("an attribute");
        (name.to_owned(), attribute(value))
    };
    pieces.filter(|p| !p.is_empty()).map(attribute).collect()
}

fn attribute(text: &str) -> Attr {
    if let Some(list) = text.strip_prefix('[') {
        let items = || list.trim_end_matches(']').split(", ").filter(|i| !i.is_empty());
        return match items().map(str::parse).collect::<Result<Vec<i64>, _>>() {
            Ok(integers) => Attr::I64Array(integers),
            Err(_) => items().map(str::parse).collect::<Result<Vec<f64>, _>>().map_or(Attr::Str(text.to_owned()), Attr::F64Array),
        };
    }
    if let Some(body) = text.strip_prefix("#tpu<") {
        let (mnemonic, case) = body.trim_end_matches('>').split_once(' ').expect("a case");
        let mnemonic = tpuc_ops::tpu::ENUMERATIONS.iter().copied().find(|m| *m == mnemonic).unwrap_or("other");
        return Attr::Enum { dialect: "tpu", mnemonic, case: case.to_owned() };
    }
    match (text, text.split_once(" : ")) {
        ("true", _) => Attr::Bool(true),
        ("false", _) => Attr::Bool(false),
        (_, Some((v, "i64"))) => Attr::I64(v.parse().expect("an integer")),
        (_, Some((v, "si32"))) => Attr::Si32(v.parse().expect("an integer")),
        (_, Some((v, "ui32"))) => Attr::Ui32(v.parse().expect("an integer")),
        (_, Some((v, "f64"))) => Attr::F64(v.parse().expect("a number")),
        _ => Attr::Str(text.trim_matches('"').to_owned()),
    }
}
