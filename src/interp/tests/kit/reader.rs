//! A reader of just the generic-form text that the reference networks use, so that these tests need no MLIR.

use std::collections::HashMap;
use tpuc_ops::{Attr, Elem, Op, Program, TensorType, ValueId};
use tpuc_tensor::DType;

/// The program, or the name of an op that it needs and that there is none of.
pub fn read(text: &str) -> Result<Program, String> {
    let names: HashMap<&str, &str> = text.lines().filter_map(|l| l.split_once(" = loc(\"")).map(|(label, name)| (label, name.trim_end_matches("\")"))).collect();
    let mut program = Program::new("main");
    let mut values: HashMap<String, ValueId> = HashMap::new();
    for line in text.lines().map(str::trim) {
        if let Some((_, chip)) = line.split_once("module.chip = \"") {
            let chip = chip.split('"').next().unwrap_or_default();
            program.attrs.insert("module.chip".into(), Attr::Str(chip.to_owned()));
        }
        if let Some(at) = line.find("@main(") {
            let (arguments, _) = line[at..].split_once(") ->").ok_or("no function type")?;
            for (i, argument) in arguments.split("%arg").skip(1).enumerate() {
                let id = program.add_input(format!("arg{i}"), tensor_type(argument).ok_or("an argument")?);
                values.insert(format!("%arg{i}"), id);
            }
        } else if line.starts_with('%') {
            read_op(line, &names, &mut program, &mut values)?;
        } else if let Some(rest) = line.strip_prefix("return ") {
            let list = rest.split(" : ").next().unwrap_or_default();
            program.outputs = list.split(", ").filter_map(|v| values.get(v).copied()).collect();
        }
    }
    program.check().map_err(|e| e.to_string())?;
    Ok(program)
}

fn read_op(line: &str, names: &HashMap<&str, &str>, program: &mut Program, values: &mut HashMap<String, ValueId>) -> Result<(), String> {
    let (result, rest) = line.split_once(" = ").ok_or("a result")?;
    let name = rest.split('"').nth(1).ok_or("a name")?;
    let operands = rest.split_once('(').and_then(|(_, r)| r.split_once(')')).ok_or("operands")?.0;
    let label = rest.rsplit_once("loc(").ok_or("a location")?.1.trim_end_matches(')');
    let layer = names.get(label).copied().unwrap_or("none").to_owned();
    if name == "top.None" {
        let id = program.none();
        values.insert(result.to_owned(), id);
        return Ok(());
    }
    let ty = tensor_type(rest.rsplit_once("-> ").ok_or("a result type")?.1).ok_or_else(|| format!("{layer}: type"))?;
    let id = if name == "tpu.GenericCpu" && line.contains("cpu_op_name = \"quant\"") {
        // Our form of the quantization of inputs on the host.
        let source = values.get(operands.trim()).copied().ok_or("an operand")?;
        program.push(tpuc_ops::tpu::Cast::default(), &[source], layer, ty)
    } else if name == "top.Weight" {
        program.add_weight(layer, ty)
    } else {
        let attributes = rest.find(" {").and_then(|start| Some(&rest[start + 2..rest.rfind("} :")?])).unwrap_or_default();
        let op = Op::from_attrs(name, &attribute_list(attributes)).map_err(|e| e.to_string())?;
        // A shape that is no tensor is an operand of some of the reference's files.
        let operands = if name == "tpu.Reshape" { operands.split(", ").next().unwrap_or_default() } else { operands };
        let operands: Vec<ValueId> = operands.split(", ").filter(|v| !v.is_empty()).map(|v| values.get(v).copied().ok_or_else(|| format!("{v} is not there"))).collect::<Result<_, _>>()?;
        program.push(op, &operands, layer, ty)
    };
    values.insert(result.to_owned(), id);
    Ok(())
}

/// The first `tensor<..>` of a text: `1x3x64x64xf32`, `1x3x!quant.uniform<i8:f32, 0.02>`, `1x!quant.calibrated<f32<-1:1>>`
fn tensor_type(text: &str) -> Option<TensorType> {
    let text = &text[text.find("tensor<")? + 7..];
    let mut shape = Vec::new();
    let mut rest = text;
    while let Some((dim, tail)) = rest.split_once('x') {
        match dim.parse() {
            Ok(dim) => shape.push(dim),
            Err(_) => break,
        }
        rest = tail;
    }
    let number = |t: &str| t.trim().trim_end_matches('>').parse::<f64>().ok();
    let elem = if let Some(quant) = rest.strip_prefix("!quant.uniform<") {
        let (types, parameters) = quant.split('>').next()?.split_once(", ")?;
        let (storage, expressed) = types.split_once(':')?;
        let (scale, zero_point) = parameters.split_once(':').unwrap_or((parameters, "0"));
        Elem::Uniform { storage: plain(storage)?, expressed: plain(expressed)?, scale: number(scale)?, zero_point: zero_point.parse().ok()? }
    } else if let Some((expressed, range)) = rest.strip_prefix("!quant.calibrated<").and_then(|r| r.split_once('<')) {
        let (min, max) = range.split('>').next()?.split_once(':')?;
        Elem::Calibrated { expressed: plain(expressed)?, min: number(min)?, max: number(max)? }
    } else {
        Elem::Plain(plain(rest.split('>').next()?)?)
    };
    Some(TensorType::new(&shape, elem))
}

fn plain(text: &str) -> Option<DType> {
    Some(match text {
        "f32" => DType::F32,
        "f16" => DType::F16,
        "bf16" => DType::BF16,
        "i8" | "si8" => DType::I8,
        "ui32" => DType::U32,
        "u8" | "ui8" => DType::U8,
        "i16" | "si16" => DType::I16,
        "ui16" => DType::U16,
        "i32" | "si32" => DType::I32,
        _ => return None,
    })
}

/// `a = 1 : i64, b = [1, 2], c = "x", d = #tpu<round_mode HalfUp>`
fn attribute_list(text: &str) -> Vec<(String, Attr)> {
    let mut depth = 0;
    let pieces = text.split(|c| {
        depth += i32::from(matches!(c, '[' | '<')) - i32::from(matches!(c, ']' | '>'));
        c == ',' && depth == 0
    });
    pieces.filter_map(|piece| piece.trim().split_once(" = ")).filter_map(|(name, value)| Some((name.to_owned(), attribute(value)?))).collect()
}

fn attribute(text: &str) -> Option<Attr> {
    if let Some(list) = text.strip_prefix('[') {
        let items = || list.trim_end_matches(']').split(", ").filter(|i| !i.is_empty());
        return match items().map(str::parse).collect::<Result<Vec<i64>, _>>() {
            Ok(integers) => Some(Attr::I64Array(integers)),
            Err(_) => items().map(|i| i.parse().ok()).collect::<Option<Vec<f64>>>().map(Attr::F64Array),
        };
    }
    if let Some(rest) = text.strip_prefix("#tpu<") {
        let (mnemonic, case) = rest.trim_end_matches('>').split_once(' ')?;
        let mnemonic = tpuc_ops::tpu::ENUMERATIONS.iter().copied().find(|m| *m == mnemonic)?;
        return Some(Attr::Enum { dialect: "tpu", mnemonic, case: case.to_owned() });
    }
    Some(match (text, text.split_once(" : ")) {
        ("true", _) => Attr::Bool(true),
        ("false", _) => Attr::Bool(false),
        (_, Some((v, "i64"))) => Attr::I64(v.parse().ok()?),
        (_, Some((v, "si32"))) => Attr::Si32(v.parse().ok()?),
        (_, Some((v, "ui32"))) => Attr::Ui32(v.parse().ok()?),
        (_, Some((v, "f64"))) => Attr::F64(v.parse().ok()?),
        _ => Attr::Str(text.trim_matches('"').to_owned()),
    })
}
