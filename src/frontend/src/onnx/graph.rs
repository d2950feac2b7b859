//! A program as an ONNX graph to look at (in Netron, say): a node an op with the op's own name and attributes, edges with the layers' names
//! and types. It cannot be run: no runtime knows `top.Conv`.

use super::proto::{AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetId, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto};
use prost::Message as _;
use tpuc_ops::{Attr, Op, Program, Source, ValueId};
use tpuc_tensor::{DType, Tensor, WeightStore};

/// The file format's version that all viewers know, and the operator set that goes with it.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 13;

/// The bytes of an ONNX file. With `weights` the graph has their values, otherwise only their shapes.
pub fn graph(program: &Program, weights: Option<&WeightStore>) -> Vec<u8> {
    let mut graph = GraphProto { name: program.name.clone(), ..Default::default() };
    for node in &program.nodes {
        let results = || node.results.iter().map(|&r| value_info(program, r));
        if matches!(node.op, Op::TopInput(_)) {
            graph.input.extend(results());
            continue;
        }
        let name = |v: &ValueId| if program.value(*v).source == Source::None { String::new() } else { program.value(*v).name.clone() };
        let mut attribute: Vec<AttributeProto> = node.op.to_attrs().into_iter().map(|(name, value)| attribute(name, &value)).collect();
        if let Some(ty) = node.results.first().and_then(|&r| program.tensor_type(r)).filter(|_| attribute.iter().all(|a| a.name != "shape")) {
            attribute.push(ints("shape", ty.shape.clone()));
        }
        graph.node.push(NodeProto {
            input: node.operands.iter().map(name).collect(),
            output: node.results.iter().map(name).collect(),
            op_type: node.op.name().to_owned(),
            attribute,
            ..Default::default()
        });
        graph.value_info.extend(results());
    }
    graph.output = program.outputs.iter().map(|&o| value_info(program, o)).collect();
    graph.value_info.retain(|v| graph.output.iter().all(|o| o.name != v.name));
    for (index, value) in program.values.iter().enumerate().filter(|(_, v)| v.source == Source::Weight) {
        match weights.and_then(|w| w.get(&value.name)) {
            Some(tensor) => graph.initializer.push(initializer(&value.name, tensor, value.ty.tensor().map(|t| t.shape.as_slice()))),
            None => graph.value_info.push(value_info(program, ValueId(index as u32))),
        }
    }
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "tpuc".into(),
        graph: Some(graph),
        opset_import: vec![OperatorSetId { domain: String::new(), version: OPSET }],
    };
    model.encode_to_vec()
}

/// ONNX's code of an element type.
fn code(dtype: DType) -> i32 {
    match dtype {
        DType::F32 => 1,
        DType::U8 => 2,
        DType::I8 => 3,
        DType::U16 => 4,
        DType::I16 => 5,
        DType::I32 => 6,
        DType::I64 => 7,
        DType::Bool => 9,
        DType::F16 => 10,
        DType::F64 => 11,
        DType::U32 => 12,
        DType::U64 => 13,
        DType::BF16 => 16,
    }
}

fn value_info(program: &Program, value: ValueId) -> ValueInfoProto {
    let dim = |&d: &i64| Dimension { value: Some(d), symbol: None };
    let ty = program.tensor_type(value).map(|t| TypeProto {
        tensor_type: Some(TensorTypeProto { elem_type: code(t.elem.storage()), shape: Some(TensorShapeProto { dim: t.shape.iter().map(dim).collect() }) }),
    });
    ValueInfoProto { name: program.value(value).name.clone(), ty }
}

fn initializer(name: &str, tensor: &Tensor, shape: Option<&[i64]>) -> TensorProto {
    // Weights of lowered modules are stored flat; the module knows their shape.
    let own: Vec<i64> = tensor.shape().iter().map(|&d| d as i64).collect();
    let fits = |shape: &&[i64]| shape.iter().try_fold(1i64, |a, &d| a.checked_mul(d)) == Some(tensor.len() as i64);
    let dims = shape.filter(fits).map_or(own, <[i64]>::to_vec);
    TensorProto { dims, data_type: code(tensor.dtype()), name: name.to_owned(), raw_data: tensor.to_le_bytes().into(), ..Default::default() }
}

fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto { name: name.to_owned(), kind: 7, ints, ..Default::default() }
}

fn attribute(name: &str, value: &Attr) -> AttributeProto {
    let base = AttributeProto { name: name.to_owned(), ..Default::default() };
    let text = |s: &str| AttributeProto { kind: 3, s: s.as_bytes().to_vec(), ..base.clone() };
    match value {
        Attr::Bool(b) => AttributeProto { kind: 2, i: i64::from(*b), ..base },
        Attr::I64(i) => AttributeProto { kind: 2, i: *i, ..base },
        Attr::Ui32(i) => AttributeProto { kind: 2, i: i64::from(*i), ..base },
        Attr::Si32(i) => AttributeProto { kind: 2, i: i64::from(*i), ..base },
        Attr::F64(f) => AttributeProto { kind: 1, f: *f as f32, ..base },
        Attr::Str(s) => text(s),
        Attr::I64Array(list) => ints(name, list.clone()),
        Attr::F64Array(list) => AttributeProto { kind: 6, floats: list.iter().map(|&f| f as f32).collect(), ..base },
        Attr::Enum { case, .. } => text(case),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tpuc_ops::{TensorType, top};

    #[test]
    fn names_types_and_weights() {
        let mut program = Program::new("n");
        let argument = program.add_input("arg0", TensorType::f32(&[1, 4]));
        let x = program.push(top::Input::default(), &[argument], "x", TensorType::f32(&[1, 4]));
        let w = program.add_weight("w", TensorType::f32(&[4, 2]));
        let none = program.none();
        let y = program.push(top::MatMul::default(), &[x, w, none], "y_MatMul", TensorType::f32(&[1, 2]));
        program.outputs.push(y);
        let mut weights = WeightStore::new();
        weights.insert("w", Tensor::f32(&[8], vec![0.5; 8]).unwrap());
        let read = |bytes: Vec<u8>| ModelProto::decode(bytes.as_slice()).unwrap().graph.unwrap();
        let plain = read(graph(&program, None));
        assert_eq!(plain.node[0].op_type, "top.MatMul");
        assert_eq!((plain.node[0].input.as_slice(), plain.node[0].output.as_slice()), (&["x".into(), "w".into(), String::new()][..], &["y_MatMul".into()][..]));
        assert_eq!(plain.node[0].attribute.iter().find(|a| a.name == "shape").unwrap().ints, [1, 2]);
        let names = |list: &[ValueInfoProto]| list.iter().map(|v| v.name.clone()).collect::<Vec<_>>();
        assert_eq!((names(&plain.input), names(&plain.output), names(&plain.value_info)), (vec!["x".into()], vec!["y_MatMul".into()], vec!["w".into()]));
        assert!(plain.initializer.is_empty());
        let full = read(graph(&program, Some(&weights)));
        assert_eq!((full.initializer[0].dims.as_slice(), full.initializer[0].raw_data.len(), full.value_info.len()), (&[4, 2][..], 32, 0));
    }
}
