//! A reader of just the generic-form Top text that the reference networks use, so that these tests need no MLIR.

use std::collections::HashMap;
use tpuc_ops::{Attr, Elem, Op, Program, TensorType, ValueId};
use tpuc_tensor::DType;

pub fn read(text: &str) -> Program {
    let names: HashMap<&str, String> = text.lines().filter_map(location).collect();
    let mut program = Program::new("main");
    let mut values: HashMap<String, ValueId> = HashMap::new();
    for line in text.lines().map(str::trim) {
        if let Some(at) = line.find("@main(") {
            let (arguments, _) = line[at + 6..].split_once(") ->").expect("a function type");
            for (i, argument) in arguments.split("%arg").skip(1).enumerate() {
                let ty = tensor_type(between(argument, "tensor<", ">"));
                values.insert(format!("%arg{i}"), program.add_input(format!("arg{i}"), ty));
            }
        } else if line.starts_with('%') {
            read_op(line, &names, &mut program, &mut values);
        } else if let Some(rest) = line.strip_prefix("return ") {
            let list = rest.split(" : ").next().unwrap_or_default();
            program.outputs = list.split(", ").map(|v| values[v]).collect();
        }
    }
    program.check().expect("a checked program");
    program
}

fn read_op(line: &str, names: &HashMap<&str, String>, program: &mut Program, values: &mut HashMap<String, ValueId>) {
    let (result, rest) = line.split_once(" = ").expect("a result");
    let op = between(rest, "\"", "\"");
    if op == "top.None" {
        let none = program.none();
        values.insert(result.to_owned(), none);
        return;
    }
    let operands = between(rest, "(", ")");
    let attributes = rest.find('{').map_or("", |start| &rest[start + 1..rest.rfind('}').expect("a closing brace")]);
    let ty = tensor_type(between(&rest[rest.rfind("-> ").expect("a result type")..], "tensor<", ">"));
    let name = names[between(&rest[rest.rfind("loc(").expect("a location")..], "loc(", ")")].clone();
    let id = if op == "top.Weight" {
        program.add_weight(name, ty)
    } else {
        let op = Op::from_attrs(op, &attribute_list(attributes)).expect("a known op");
        let operands: Vec<ValueId> = operands.split(", ").filter(|v| !v.is_empty()).map(|v| values[v]).collect();
        program.push(op, &operands, name, ty)
    };
    values.insert(result.to_owned(), id);
}

fn location(line: &str) -> Option<(&str, String)> {
    let (label, name) = line.split_once(" = loc(\"")?;
    Some((label, name.strip_suffix("\")")?.to_owned()))
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
    let start = text.find(open).expect("an opening") + open.len();
    &text[start..start + text[start..].find(close).expect("a closing")]
}

/// `1x3x64x64xf32`
fn tensor_type(text: &str) -> TensorType {
    let (dims, elem) = text.rsplit_once('x').unwrap_or(("", text));
    assert_eq!(elem, "f32");
    let shape: Vec<i64> = dims.split('x').filter(|d| !d.is_empty()).map(|d| d.parse().expect("a dimension")).collect();
    TensorType::new(&shape, Elem::Plain(DType::F32))
}

/// `a = 1 : i64, b = [1, 2], c = "x"`
fn attribute_list(text: &str) -> Vec<(String, Attr)> {
    let mut depth = 0;
    let pieces = text.split(|c| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == ',' && depth == 0
    });
    pieces.filter(|p| !p.is_empty()).map(|piece| {
        let (name, value) = piece.trim().split_once(" = ").expect("an attribute");
        (name.to_owned(), attribute(value))
    }).collect()
}

fn attribute(text: &str) -> Attr {
    if let Some(list) = text.strip_prefix('[') {
        let items = || list.trim_end_matches(']').split(", ").filter(|i| !i.is_empty());
        return match items().map(str::parse).collect::<Result<Vec<i64>, _>>() {
            Ok(integers) => Attr::I64Array(integers),
            Err(_) => Attr::F64Array(items().map(|i| i.parse().expect("a number")).collect()),
        };
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
