//! Modules of the reference become programs and modules again.

use std::path::PathBuf;
use melior::ir::operation::{OperationLike, OperationResult};
use melior::ir::{BlockLike, OperationRef, RegionLike, ValueLike};
use tpuc_dialects::view::{top, tpu};
use tpuc_dialects::{AnyView, Module, OpView, context};

fn shared(path: &str) -> Option<PathBuf> {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")).join(path);
    if file.exists() {
        return Some(file);
    }
    println!("skipped: shared/{path} is not here");
    None
}

#[test]
fn the_references_modules_round_trip() {
    for path in [
        "kit/cnn_res/cnn_res.mlir",
        "kit/cnn_res/cnn_res_bm1684x_int8_sym_tpu.mlir",
        "kit/mbv2_tiny/mbv2_tiny.mlir",
        "kit/mbv2_tiny/mbv2_tiny_bm1684x_int8_sym_tpu.mlir",
        "kit/efficientnet_lite0/efflite0.mlir",
        "kit/efficientnet_lite0/efflite0_bm1684x_int8_sym_tpu.mlir",
    ] {
        let Some(file) = shared(path) else { continue };
        let context = context();
        let module = Module::read(&context, &file).unwrap();
        module.verify().unwrap();
        let program = module.program().unwrap();
        program.check().unwrap();
        let again = Module::from_program(&context, &program, Default::default()).unwrap();
        again.verify().unwrap();
        assert_eq!(again.program().unwrap(), program, "{path}");
        let text = again.text();
        let parsed = Module::parse(&context, text.as_bytes(), "again").unwrap();
        assert_eq!(parsed.program().unwrap(), program, "{path}");
        // Signless and signed integers are one to us; all else is the reference's text.
        let original = std::fs::read_to_string(&file).unwrap().replace("xsi8>", "xi8>");
        let differing = original.lines().zip(text.lines()).filter(|(a, b)| a.trim_end() != b.trim_end()).collect::<Vec<_>>();
        assert!(differing.is_empty(), "{path}: {} lines differ, first {:?}", differing.len(), differing[0]);
    }
}

#[test]
fn mistakes_are_one_line() {
    let context = context();
    let message = |text: &str| Module::parse(&context, text.as_bytes(), "net.mlir").err().unwrap().to_string();
    assert_eq!(message("module {"), "net.mlir:1:7: expected operation name in quotes");
    assert_eq!(
        message("%0 = \"top.Lstm\"() : () -> none\n%1 = \"top.Lstm\"() : () -> none\n%2 = \"tpu.Fly\"() : () -> none"),
        "net.mlir: unsupported ops: top.Lstm (line 1), tpu.Fly (line 3)"
    );
    assert!(message(&"(".repeat(100_000)).contains("nested too deeply"));
    // What only looks like a closing bracket closes nothing.
    for level in ["() -> (", "(// )\n"] {
        let deep = format!("\"top.None\"() : () -> ({}", level.repeat(100_000));
        assert!(message(&deep).ends_with("nested too deeply"), "{level}");
    }
    assert_eq!(message("a\u{0}b"), "net.mlir: not MLIR: a zero byte at 1");
    let wrong = "func.func @main(%a: tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32> {\n  %0 = \"top.Relu\"(%a) : (tensor<1x3x8x8xf32>) -> tensor<1x3x8x9xf32>\n  return %0 : tensor<1x3x8x9xf32>\n}";
    assert_eq!(message(wrong), "net.mlir:2:8: 'top.Relu' op result shape is [1, 3, 8, 9], expected [1, 3, 8, 8]");
}

/// A module with one function of these ops, `%arg0` and `%none` before them.
const SMALL: &str = r#"module @small attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
    %0 = "top.None"() : () -> none
    %1 = "top.Weight"() : () -> tensor<4x3x3x3xf32> loc("filter")
    %2 = "top.Conv"(%arg0, %1, %0) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1], relu_limit = 6.0 : f64} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32> loc("c1_Conv")
    %3 = "top.Add"(%2, %2, %2) : (tensor<1x4x8x8xf32>, tensor<1x4x8x8xf32>, tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> loc("sum")
    return %3 : tensor<1x4x8x8xf32>
  }
}
"#;

/// Runs `body` on the operations of @main.
fn each_op<'c>(module: &mut Module<'c>, mut body: impl FnMut(OperationRef<'c, '_>)) {
    let function = module.melior().body().first_operation().unwrap();
    let mut next = function.region(0).unwrap().first_block().unwrap().first_operation();
    while let Some(operation) = next {
        body(operation);
        next = operation.next_in_block();
    }
}

#[test]
fn views_name_operands_and_results() {
    let context = context();
    let mut module = Module::parse(&context, SMALL.as_bytes(), "small").unwrap();
    let mut seen = Vec::new();
    each_op(&mut module, |operation| {
        let Some(view) = AnyView::of(operation) else { return seen.push("func.return".to_owned()) };
        seen.push(format!("{} {}", view.name(), view.layer()));
        assert!(tpu::Conv2DView::of(operation).is_none());
        if let AnyView::TopConv(conv) = view {
            assert_eq!(conv.attrs().unwrap(), tpuc_ops::top::Conv { kernel_shape: vec![3, 3], pads: vec![1; 4], strides: vec![1, 1], relu_limit: 6.0, ..Default::default() });
            let filter = OperationResult::try_from(conv.filter()).unwrap();
            assert_eq!(top::WeightView::of(filter.owner()).unwrap().layer(), "filter");
            assert!(conv.input().is_block_argument());
            assert!(conv.bias().is_none());
        }
        if let AnyView::TopAdd(add) = view {
            let inputs: Vec<_> = add.inputs().collect();
            assert_eq!(inputs.len(), 3);
            assert!(inputs.iter().all(|&input| AnyView::of(OperationResult::try_from(input).unwrap().owner()).unwrap().layer() == "c1_Conv"));
            assert!(add.output() != inputs[0]);
        }
    });
    assert_eq!(seen, ["top.None ", "top.Weight filter", "top.Conv c1_Conv", "top.Add sum", "func.return"]);
}

/// Every op is built once more behind itself from what its view says; the copies must equal the originals.
#[test]
fn builders_take_named_operands() {
    let context = context();
    let mut module = Module::parse(&context, SMALL.as_bytes(), "small").unwrap();
    let mut operations = Vec::new();
    each_op(&mut module, |operation| operations.push(operation.to_raw()));
    let mut none = None;
    for operation in operations {
        let operation = unsafe { OperationRef::from_raw(operation) };
        let Some(view) = AnyView::of(operation) else { continue };
        let layer = view.layer();
        let layers = [layer.as_str()];
        let types = view.result_types().unwrap();
        let ty = types[0].tensor();
        let copy = match view {
            AnyView::TopNone(v) => {
                none = Some(v.output());
                top::NoneOperands {}.build(&context, &v.attrs().unwrap(), &[])
            }
            AnyView::TopWeight(v) => top::WeightOperands {}.build(&context, &v.attrs().unwrap(), ty.unwrap(), &layers),
            AnyView::TopConv(v) => {
                let operands = top::ConvOperands { input: v.input(), filter: v.filter(), bias: v.bias().or(none).unwrap() };
                operands.build(&context, &v.attrs().unwrap(), ty.unwrap(), &layers)
            }
            AnyView::TopAdd(v) => top::AddOperands { inputs: &v.inputs().collect::<Vec<_>>() }.build(&context, &v.attrs().unwrap(), ty.unwrap(), &layers),
            _ => unreachable!("{} is not in this module", view.name()),
        };
        let copy = operation.block().unwrap().insert_operation_after(operation, copy.unwrap());
        assert!(copy.verify());
        let copied = AnyView::of(copy).unwrap();
        assert_eq!((copied.op().unwrap(), copied.layer(), copied.result_types().unwrap()), (view.op().unwrap(), layer, types));
        assert!(copy.operands().eq(operation.operands()));
    }
    module.verify().unwrap();
}

#[test]
fn every_op_of_the_references_modules_has_a_view() {
    for path in ["kit/cnn_res/cnn_res.mlir", "kit/cnn_res/cnn_res_bm1684x_int8_sym_tpu.mlir", "kit/mbv2_tiny/mbv2_tiny_bm1684x_int8_sym_tpu.mlir"] {
        let Some(file) = shared(path) else { continue };
        let context = context();
        let mut module = Module::read(&context, &file).unwrap();
        each_op(&mut module, |operation| match AnyView::of(operation) {
            Some(view) => assert_eq!(view.op().unwrap().name(), view.name()),
            None => assert_eq!(OpView::new(operation).name(), "func.return", "{path}"),
        });
    }
}

#[test]
fn a_view_changes_attributes() {
    let context = context();
    let text = "module attributes {module.weight_file = \"w\"} { func.func @main(%a: tensor<1x3x8x8xf32>, %w: tensor<4x3x3x3xf32>) -> tensor<1x4x8x8xf32> {
      %n = \"top.None\"() : () -> none
      %0 = \"top.Conv\"(%a, %w, %n) {kernel_shape = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1], dilations = [1, 1], note = \"mine\"} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
      return %0 : tensor<1x4x8x8xf32> } }";
    let mut module = Module::parse(&context, text.as_bytes(), "net.mlir").unwrap();
    each_op(&mut module, |operation| {
        assert!(top::AddView::of(operation).is_none());
        let Some(conv) = top::ConvView::of(operation) else { return };
        assert!(conv.bias().is_none());
        let changed = tpuc_ops::top::Conv { dilations: None, do_relu: true, ..conv.attrs().unwrap() };
        conv.set_attrs(&changed);
        assert_eq!(conv.attrs().unwrap(), changed);
        assert!(operation.verify());
        conv.set_attrs(&tpuc_ops::top::Conv { pads: vec![0; 4], ..changed });
        assert!(!operation.verify());
    });
    assert!(module.text().contains("do_relu = true") && module.text().contains("note = \"mine\"") && !module.text().contains("dilations"));
}
