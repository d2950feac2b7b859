//! Imports of models made here: what every operator becomes, and what hostile ones do.

mod elementwise;

use super::proto::*;
use super::*;
use crate::Preprocessing;
use tpuc_ops::top;

/// A model with one float input `x` and one node behind the other.
pub(super) struct Model {
    graph: GraphProto,
    opset: i64,
}

impl Model {
    pub fn new(shape: &[i64]) -> Model {
        let mut model = Model { graph: GraphProto::default(), opset: 17 };
        model.input("x", shape);
        model
    }

    pub fn input(&mut self, name: &str, shape: &[i64]) {
        let dim = shape.iter().map(|&d| Dimension { value: Some(d), symbol: None }).collect();
        let ty = TypeProto { tensor_type: Some(TensorTypeProto { elem_type: 1, shape: Some(TensorShapeProto { dim }) }) };
        self.graph.input.push(ValueInfoProto { name: name.into(), ty: Some(ty) });
    }

    pub fn opset(mut self, opset: i64) -> Model {
        self.opset = opset;
        self
    }

    pub fn ints(mut self, name: &str, list: &[i64]) -> Model {
        self.graph.initializer.push(TensorProto { name: name.into(), dims: vec![list.len() as i64], data_type: 7, int64_data: list.to_vec(), ..Default::default() });
        self
    }

    pub fn floats(mut self, name: &str, dims: &[i64], list: &[f32]) -> Model {
        self.graph.initializer.push(TensorProto { name: name.into(), dims: dims.to_vec(), data_type: 1, float_data: list.to_vec(), ..Default::default() });
        self
    }

    /// A node `op` with inputs and outputs as one text each; its attributes are added by the methods below.
    pub fn node(mut self, op: &str, inputs: &str, outputs: &str) -> Model {
        let names = |text: &str| text.split(' ').filter(|n| !n.is_empty()).map(|n| if n == "-" { String::new() } else { n.to_owned() }).collect();
        self.graph.node.push(NodeProto { op_type: op.into(), input: names(inputs), output: names(outputs), ..Default::default() });
        self
    }

    fn attribute(mut self, attribute: AttributeProto) -> Model {
        self.graph.node.last_mut().unwrap().attribute.push(attribute);
        self
    }

    pub fn int(self, name: &str, i: i64) -> Model {
        self.attribute(AttributeProto { name: name.into(), i, ..Default::default() })
    }

    pub fn list(self, name: &str, ints: &[i64]) -> Model {
        self.attribute(AttributeProto { name: name.into(), ints: ints.to_vec(), ..Default::default() })
    }

    pub fn float(self, name: &str, f: f32) -> Model {
        self.attribute(AttributeProto { name: name.into(), f, ..Default::default() })
    }

    pub fn text(self, name: &str, s: &str) -> Model {
        self.attribute(AttributeProto { name: name.into(), s: s.into(), ..Default::default() })
    }

    pub fn import(mut self) -> Result<Imported, ImportError> {
        if self.graph.output.is_empty() {
            let last = self.graph.node.last().and_then(|n| n.output.first()).cloned().unwrap_or_default();
            self.graph.output.push(ValueInfoProto { name: last, ty: None });
        }
        patterns::fuse(&mut self.graph, &[]);
        let options = ImportOptions { model_name: "net".into(), preprocessing: Preprocessing::default(), ..Default::default() };
        Importer::new(&self.graph, self.opset, &options)?.run()
    }

    /// The layers behind the input: name, op, shape of the first result.
    fn layers(self) -> Vec<(String, &'static str, Vec<i64>)> {
        let program = self.import().unwrap().program;
        program.check().unwrap();
        let layer = |n: usize| (program.node_name(n).to_owned(), program.nodes[n].op.name(), program.tensor_type(program.nodes[n].results[0]).unwrap().shape.clone());
        (1..program.nodes.len()).map(layer).collect()
    }

    fn last(self) -> Op {
        self.import().unwrap().program.nodes.pop().unwrap().op
    }

    fn error(self) -> String {
        self.import().unwrap_err().to_string()
    }
}

fn layer(name: &str, op: &'static str, shape: &[i64]) -> (String, &'static str, Vec<i64>) {
    (name.into(), op, shape.to_vec())
}

const PICTURE: [i64; 4] = [1, 8, 12, 10];

#[test]
fn unsupported_ops_are_all_named() {
    let model = Model::new(&[1, 4]).node("Loop", "x", "a").node("Relu", "a", "b").node("GRU", "b", "c").node("GRU", "c", "d");
    assert_eq!(model.error(), "unsupported ops: Loop (layer 'a_Loop'), GRU (2 layers, first 'c_GRU')");
}

#[test]
fn slices() {
    let slice = |m: Model| match m.last() {
        Op::TopSlice(op) => (op.offset, op.ends, op.steps, op.hasparamConvert_axes),
        other => panic!("{other:?}"),
    };
    let model = || Model::new(&PICTURE).ints("s", &[8, 2]).ints("e", &[0, 100]).ints("a", &[3, -2]).ints("t", &[-3, 2]);
    assert_eq!(slice(model().node("Slice", "x s e a t", "o")), (vec![0, 0, 2, 8], vec![1, 8, 100, 0], vec![1, 1, 2, -3], vec![-2, 3]));
    // To the end is a little less than 2^31 where it is an input, and as written where it is an attribute.
    let open = Model::new(&PICTURE).ints("s", &[1]).ints("e", &[i64::MAX]).ints("a", &[1]).node("Slice", "x s e a", "o");
    assert_eq!(slice(open).1, [1, 2_147_482_624, 12, 10]);
    let old = Model::new(&PICTURE).opset(9).node("Slice", "x", "o").list("starts", &[1]).list("ends", &[i64::MAX]).list("axes", &[1]);
    assert_eq!(slice(old).1, [1, i64::MAX, 12, 10]);
    let all = Model::new(&PICTURE).ints("s", &[-1]).ints("e", &[i64::MIN + 1]).ints("a", &[2]).node("Slice", "x s e a s", "o");
    assert_eq!(all.last(), Op::TopReverse(top::Reverse { axis: 2, ..Default::default() }));
    assert!(model().node("Slice", "x s e a", "o").error().contains("has no elements"));
}

#[test]
fn splits_and_shapes() {
    let layers = Model::new(&PICTURE).node("Split", "x", "a b c").int("axis", 1).node("Relu", "c", "d").layers();
    assert_eq!(layers, [layer("a_Split", "top.Split", &[1, 3, 12, 10]), layer("d_Relu", "top.Relu", &[1, 2, 12, 10])]);
    // The shape is a constant: cut, scaled in floats, and used as a size.
    let model = Model::new(&PICTURE).ints("i2", &[2]).ints("i4", &[4]).ints("i0", &[0]).floats("f", &[2], &[2.0, 2.0]);
    let model = model.node("Shape", "x", "s").node("Slice", "s i2 i4", "hw").node("Cast", "hw", "hf").int("to", 1).node("Mul", "hf f", "hm");
    let model = model.node("Cast", "hm", "hi").int("to", 7).node("Slice", "s i0 i2", "nc").node("Concat", "nc hi", "z").int("axis", 0);
    let layers = model.node("Resize", "x - - z", "o").text("mode", "nearest").text("coordinate_transformation_mode", "asymmetric").text("nearest_mode", "floor").layers();
    assert_eq!(layers, [layer("o_Resize", "top.Interp", &[1, 8, 24, 20])]);
}

#[test]
fn nearest_pixels_that_interp_does_not_take_are_gathered() {
    let model = |mode: &str| Model::new(&PICTURE).floats("s", &[4], &[1.0, 1.0, 1.5, 1.5]).node("Resize", "x - s", "o").text("mode", "nearest").text("nearest_mode", mode);
    assert_eq!(model("round_prefer_floor").layers(), [layer("o_Resize", "top.Interp", &[1, 8, 18, 15])]);
    assert_eq!(model("ceil").layers(), [layer("o_Resize_rows", "top.Gather", &[1, 8, 18, 10]), layer("o_Resize", "top.Gather", &[1, 8, 18, 15])]);
    assert!(model("up").error().contains("nearest_mode 'up' is unknown"));
}

#[test]
fn products() {
    let model = || Model::new(&[4, 6]).floats("w", &[5, 6], &[0.5; 30]).floats("c", &[5], &[1.0; 5]).floats("v", &[6], &[1.0; 6]);
    assert_eq!(model().node("Gemm", "x w c", "o").int("transB", 1).layers(), [layer("o_Gemm", "top.MatMul", &[4, 5])]);
    let vector = model().node("MatMul", "x v", "o").layers();
    assert_eq!(vector.last().unwrap(), &layer("o_MatMul", "top.Reshape", &[4]));
    assert_eq!(model().node("Gemm", "x x", "o").int("transA", 1).layers(), [layer("o_Gemm_left", "top.Permute", &[6, 4]), layer("o_Gemm", "top.MatMul", &[6, 6])]);
    assert!(model().node("Gemm", "x w c", "o").error().contains("6 columns"));
}

#[test]
fn pools_with_ceil_mode_count_only_the_padding() {
    let model = || Model::new(&PICTURE).node("AveragePool", "x", "o").list("kernel_shape", &[3, 3]).list("strides", &[2, 2]).int("ceil_mode", 1);
    let Op::TopAvgPool(op) = model().last() else { panic!() };
    assert_eq!((op.pads, op.count_include_pad), (vec![0, 0, 1, 1], false));
    let layers = model().list("pads", &[1, 1, 1, 1]).int("count_include_pad", 1).layers();
    assert_eq!(layers, [layer("o_AveragePool_pad", "top.Pad", &[1, 8, 14, 12]), layer("o_AveragePool", "top.AvgPool", &[1, 8, 7, 6])]);
}

#[test]
fn patterns_become_one_layer() {
    let norm = |axis: i64| {
        let model = Model::new(&[1, 16, 64]).floats("two", &[], &[2.0]).floats("eps", &[], &[1e-5]).floats("g", &[64], &[2.0; 64]).floats("b", &[64], &[1.0; 64]);
        let model = model.node("ReduceMean", "x", "m").list("axes", &[axis]).node("Sub", "x m", "d").node("Pow", "d two", "p").node("ReduceMean", "p", "v").list("axes", &[axis]);
        model.node("Add", "v eps", "e").node("Sqrt", "e", "s").node("Div", "d s", "q").node("Mul", "q g", "qg").node("Add", "qg b", "o")
    };
    assert_eq!(norm(-1).layers(), [layer("o_LayerNormalization", "top.LayerNorm", &[1, 16, 64])]);
    let conv = Model::new(&PICTURE).floats("w", &[4, 8, 1, 1], &[0.5; 32]).floats("b", &[1, 4, 1, 1], &[1.0; 4]).node("Conv", "x w", "c").node("Add", "c b", "o");
    let imported = conv.import().unwrap();
    assert_eq!(imported.program.node_name(1), "o_Conv");
    assert_eq!(imported.weights.get("o_bias").unwrap().shape(), [4]);
}

/// One node of every operator with attributes and inputs that make no sense: an error or a checked program, never a panic.
#[test]
fn hostile_nodes_are_refused() {
    let mut seed = 11u64;
    let mut random = |most: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % most
    };
    const NUMBERS: [i64; 15] = [0, 1, 2, 3, -1, -2, 7, 8, 12, 1 << 16, 1 << 31, 1 << 40, i64::MAX, i64::MIN, -(1 << 33)];
    const NAMES: [&str; 24] = [
        "alpha", "beta", "min", "max", "axis", "axes", "perm", "kernel_shape", "strides", "pads", "dilations", "group", "output_padding", "output_shape", "blocksize", "split", "starts", "ends", "keepdims",
        "transA", "transB", "ceil_mode", "num_groups", "shape",
    ];
    const TEXTS: [(&str, &str); 7] =
        [("approximate", "tanh"), ("mode", "linear"), ("mode", "reflect"), ("auto_pad", "SAME_LOWER"), ("coordinate_transformation_mode", "align_corners"), ("nearest_mode", "ceil"), ("mode", "CRD")];
    const SHAPES: [&[i64]; 8] = [&[1], &[4], &[2, 3], &[1, 8, 12], &[1, 8, 12, 10], &[2, 4, 1, 1], &[1, 4, 2, 6, 6], &[1, 1, 1, 1, 1, 1, 1]];
    let ops: Vec<&str> = convert::SUPPORTED.iter().chain(super::elementwise::SUPPORTED).copied().collect();
    for round in 0..30_000 {
        let op = ops[round % ops.len()];
        let mut model = Model::new(SHAPES[random(SHAPES.len())]);
        model.input("y", SHAPES[random(SHAPES.len())]);
        model.opset = [7, 11, 13, 17, 18][random(5)];
        let list: Vec<i64> = (0..random(5)).map(|_| NUMBERS[random(NUMBERS.len())]).collect();
        let floats: Vec<f32> = (0..random(5)).map(|_| [0.0, 1.0, 2.0, -1.0, 0.5, f32::NAN, 1e30][random(7)]).collect();
        let dims = [floats.len() as i64];
        model = model.ints("i", &list).floats("f", &dims, &floats).floats("w", &[4, 8, 1, 1], &[0.5; 32]).floats("e", &[0], &[]);
        let inputs: Vec<&str> = (0..1 + random(5)).map(|i| if i == 0 && random(8) > 0 { "x" } else { ["x", "y", "i", "f", "w", "e", "-"][random(7)] }).collect();
        model = model.node(op, &inputs.join(" "), ["o", "o p", "o p q"][random(3)]);
        for _ in 0..random(5) {
            let list: Vec<i64> = (0..random(5)).map(|_| NUMBERS[random(NUMBERS.len())]).collect();
            let name = NAMES[random(NAMES.len())];
            model = model.attribute(AttributeProto { name: name.into(), i: NUMBERS[random(NUMBERS.len())], f: floats.first().copied().unwrap_or(0.1), ints: list, ..Default::default() });
        }
        if random(2) == 0 {
            let (name, text) = TEXTS[random(TEXTS.len())];
            model = model.text(name, text);
        }
        if let Ok(imported) = model.import() {
            imported.program.check().unwrap();
        }
    }
}

#[test]
fn casts_of_what_is_whole() {
    let model = |to: i64| Model::new(&PICTURE).node("ArgMax", "x", "a").int("axis", 1).node("Cast", "a", "b").int("to", to).node("Relu", "b", "c");
    assert_eq!(model(6).layers(), [layer("a_ArgMax", "top.Arg", &[1, 1, 12, 10]), layer("c_Relu", "top.Relu", &[1, 1, 12, 10])]);
    let cut = Model::new(&PICTURE).node("Cast", "x", "b").int("to", 7).node("Relu", "b", "c");
    assert_eq!(cut.error(), "layer 'b_Cast' (Cast): an activation cast to si64 is not supported");
}

/// The page for users names what is imported.
#[test]
fn the_documentation_lists_every_operator() {
    let page = include_str!("../../../../docs/onnx.md");
    for op in [convert::SUPPORTED, super::elementwise::SUPPORTED].concat() {
        assert!(page.split(|c: char| !c.is_alphanumeric()).any(|word| word == op), "docs/onnx.md does not name {op}");
    }
}
