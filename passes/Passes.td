// Every pass with its options. Bodies are in Rust, one file a pass: `def FuseRelu` is src/fuse_relu.rs.
#ifndef TPUC_PASSES
#define TPUC_PASSES

include "mlir/Pass/PassBase.td"

class ModulePass<string argument> : Pass<argument, "::mlir::ModuleOp">;

//===-- Top ---------------------------------------------------------------------------------------------------------===//

def ShapeInfer : ModulePass<"shape-infer"> {
  let summary = "Infer result shapes from operand shapes, and count the network's operations";
  let description = [{ Sets `module.FLOPs`. Types of the function follow those of its results. }];
}

def FoldBatchNorm : ModulePass<"top-fold-batchnorm"> {
  let summary = "Fold batch norms into the convolution before them, or turn them into Scale";
}

def ConstArithmetic : ModulePass<"top-const-arithmetic"> {
  let summary = "Make constants of one value attributes of the arithmetic that uses them";
}

def ArithmeticToScale : ModulePass<"top-arithmetic-to-scale"> {
  let summary = "Turn sums and products with a constant per channel into Scale";
}

def MergeScale : ModulePass<"top-merge-scale"> {
  let summary = "Merge Scale with the Scale or the constant arithmetic before it";
}

def MergeConst : ModulePass<"top-merge-const"> {
  let summary = "Merge constant factors into weights, and constants in a row";
}

def FuseActivation : ModulePass<"top-fuse-activation"> {
  let summary = "Recognize activation functions that are written as several ops";
}

def FuseBias : ModulePass<"top-fuse-bias"> {
  let summary = "Fold the addition of a per-channel constant into Conv and MatMul";
}

def FuseRelu : ModulePass<"top-fuse-relu"> {
  let summary = "Fold Relu and Clip(0, limit) into the op before them";
}

def FusePad : ModulePass<"top-fuse-pad"> {
  let summary = "Fold padding of height and width into Conv (zeros) and MaxPool (minus infinity)";
}

def MergeConv : ModulePass<"top-merge-conv"> {
  let summary = "Merge a 1x1 convolution without activation into the convolution that follows it";
}

def SimplifyReshape : ModulePass<"top-simplify-reshape"> {
  let summary = "Merge chains of reshapes and drop those that change nothing";
}

def FoldConstants : ModulePass<"top-fold-constants"> {
  let summary = "Compute ops that read weights alone";
}

def SplitToSlice : ModulePass<"top-split-to-slice"> {
  let summary = "Turn the parts of a Split into Slices";
}

def GatherToSlice : ModulePass<"top-gather-to-slice"> {
  let summary = "Turn a Gather of evenly spaced constant indices into a Slice";
}

def FusePermute : ModulePass<"top-fuse-permute"> {
  let summary = "Merge a Permute into the one behind it";
}

def FuseSlice : ModulePass<"top-fuse-slice"> {
  let summary = "Merge a Slice into the one behind it";
}

def FuseConcat : ModulePass<"top-fuse-concat"> {
  let summary = "Merge a Concat into the one that it is part of";
}

def FuseDepth2Space : ModulePass<"top-fuse-depth2space"> {
  let summary = "Recognize Depth2Space in Reshape, Permute, Reshape and in Concat of Slices";
}

def FuseGroupNorm : ModulePass<"top-fuse-group-norm"> {
  let summary = "Recognize GroupNorm in Reshape, InstanceNorm, Reshape";
}

def FuseSame : ModulePass<"top-fuse-same"> {
  let summary = "Merge equal ops on equal operands";
}

def ReduceToPool : ModulePass<"top-reduce-to-pool"> {
  let summary = "Turn the mean or maximum over height and width into a pool";
}

def InterpToUpsample : ModulePass<"top-interp-to-upsample"> {
  let summary = "Turn nearest resizing by one whole factor into Upsample";
}

def FuseTile : ModulePass<"top-fuse-tile"> {
  let summary = "Turn Expand into Tile, and drop it in front of ops that broadcast";
}

def MoveRelu : ModulePass<"top-move-relu"> {
  let summary = "Move Relu in front of Concat, where the joined ops can do it";
}

//===-- Calibration -------------------------------------------------------------------------------------------------===//

def Calibrate : ModulePass<"top-calibrate"> {
  let summary = "Run samples, find thresholds, and write them into the result types";
  let description = [{
    Result types become `!quant.calibrated<f32<-threshold:threshold>>`. With `table` the rows are also written to a file.
  }];
  let options = [
    Option<"dataset", "dataset", "std::string", "", "Folder of samples: images, npy or npz">,
    Option<"dataList", "data-list", "std::string", "", "File that lists the samples">,
    Option<"method", "method", "std::string", "\"kl\"", "kl, max, mse, percentile9999, aciq_gauss, aciq_laplace or torch_observer_for_cali">,
    Option<"inputNum", "input-num", "int64_t", "0", "How many samples; 0: all">,
    Option<"tuneNum", "tune-num", "int64_t", "5", "How many samples tune the thresholds; 0: none">,
    Option<"tuneList", "tune-list", "std::string", "", "File that lists the samples that tune">,
    Option<"debugCmd", "debug-cmd", "std::string", "", "key;key=value: methods, int4, tuning rules">,
    Option<"histogramBinNum", "histogram-bin-num", "int64_t", "2048", "Bins of a histogram">,
    Option<"threads", "threads", "int64_t", "0", "Worker threads; 0: one a processor">,
    Option<"table", "table", "std::string", "", "Calibration table to write">
  ];
}

def ImportCalibrationTable : ModulePass<"import-calibration-table"> {
  let summary = "Write the thresholds of a calibration table into the result types, carried along the graph";
  let options = [
    Option<"file", "file", "std::string", "", "Calibration table">,
    Option<"asymmetric", "asymmetric", "bool", "false", "Ranges as minimum and maximum">
  ];
}

def ExportCalibrationTable : ModulePass<"export-calibration-table"> {
  let summary = "Write the thresholds of the result types as a calibration table";
  let options = [Option<"file", "file", "std::string", "", "Calibration table to write">];
}

def ImportQuantizeTable : ModulePass<"import-quantize-table"> {
  let summary = "Write the modes of a quantize table into the ops, as the attribute quantize_mode";
  let options = [
    Option<"file", "file", "std::string", "", "Quantize table">,
    Option<"ignoreUnknownLayers", "ignore-unknown-layers", "bool", "false", "Skip layers that the network does not have">,
    Option<"quiet", "quiet", "bool", "false", "Do not say how many were skipped">
  ];
}

def ExportQuantizeTable : ModulePass<"export-quantize-table"> {
  let summary = "Write the modes of the ops as a quantize table";
  let options = [Option<"file", "file", "std::string", "", "Quantize table to write">];
}

def FpForward : ModulePass<"fp-forward"> {
  let summary = "Let the layers around given ones run in float: the attribute quantize_mode";
  let options = [
    Option<"inputs", "inputs", "std::string", "", "Layers that run in float with everything upstream, comma separated">,
    Option<"outputs", "outputs", "std::string", "", "Layers that run in float with everything downstream, comma separated">,
    Option<"blocks", "blocks", "std::string", "", "start:end, several separated by semicolons: what lies between runs in float">,
    Option<"chip", "chip", "std::string", "", "The chip">,
    Option<"fpType", "fp-type", "std::string", "\"auto\"", "F32, F16 or BF16; auto: the chip's own">,
    Option<"ignoreUnknownLayers", "ignore-unknown-layers", "bool", "false", "Skip names that no layer has">
  ];
}

//===-- Mixed precision -----------------------------------------------------------------------------------------===//

def SearchQtable : ModulePass<"search-qtable"> {
  let summary = "Find the layers that should stay float, and a threshold for each of the others";
  let description = [{
    Calibrates by the methods of `quantize-method-list`, lets every layer alone run in INT8 with the threshold of each, and lets the worst run
    in float: `quantize_mode` on them, ranges in the types of all. Ops that have a mode keep it. Lowered for the chip, the module
    is the network whose similarity was measured. The command: `run_calibration --search search_qtable`.
  }];
  let options = [
    Option<"dataset", "dataset", "std::string", "", "Folder of samples: images, npy or npz">,
    Option<"dataList", "data-list", "std::string", "", "File that lists the samples">,
    Option<"inputNum", "input-num", "int64_t", "0", "How many samples calibrate; 0: all">,
    Option<"inferenceNum", "inference-num", "int64_t", "30", "How many samples compare networks">,
    Option<"tuneNum", "tune-num", "int64_t", "5", "How many samples tune the thresholds; 0: none">,
    Option<"tuneList", "tune-list", "std::string", "", "File that lists the samples that tune">,
    Option<"debugCmd", "debug-cmd", "std::string", "", "key;key=value: tuning rules">,
    Option<"histogramBinNum", "histogram-bin-num", "int64_t", "2048", "Bins of a histogram">,
    Option<"quantizeMethodList", "quantize-method-list", "std::string", "\"MSE\"", "Methods whose thresholds are tried: of KL, MSE, MAX, Percentile9999">,
    Option<"maxFloatLayers", "max-float-layers", "int64_t", "5", "How many layers become float">,
    Option<"transformer", "transformer", "bool", "false", "Leave layers alone that only move data in transformers">,
    Option<"opTypeScreening", "op-type-screening", "bool", "false", "Search only layers of op types that lose by themselves">,
    Option<"preQtable", "pre-qtable", "std::string", "", "Quantize table whose layers keep their modes">,
    Option<"optimize", "optimize", "bool", "false", "After the ranking, look for the cheapest set that is good enough, by estimated cycles">,
    Option<"budget", "budget", "std::string", "", "After the ranking, look for the best set within it: estimated cycles of the network (900000) or float layers (8layers)">,
    Option<"expectedCos", "expected-cos", "double", "0.99", "Outputs that are more similar to the float ones than this are good enough">,
    Option<"globalCompareLayers", "global-compare-layers", "std::string", "", "Tensors that are compared instead of the outputs: a,b or a:0.3,b:0.7">,
    Option<"postProcess", "post-process", "std::string", "", "What is done to outputs before they are compared: a Python file, yolov3, yolov5, yolox or nanodet">,
    Option<"postProcessTimeout", "post-process-timeout", "int64_t", "120", "Seconds that one call of it may take">,
    Option<"chip", "chip", "std::string", "", "The chip; without it the module's">,
    Option<"fpType", "fp-type", "std::string", "\"auto\"", "F32, F16 or BF16; auto: the chip's own">,
    Option<"memory", "memory", "std::string", "", "Memory that the process may take, such as 800M; half of what is free without it">,
    Option<"threads", "threads", "int64_t", "0", "Worker threads; 0: one a processor">,
    Option<"quiet", "quiet", "bool", "false", "Do not say what was found">
  ];
}

def SensitiveLayers : ModulePass<"sensitive-layers"> {
  let summary = "Let the layers that lose most in INT8 run in float";
  let description = [{
    Begins with the thresholds of `calibration-table`, or those of the result types, and tries MAX, Percentile9999 and KL for every layer. The
    worst `max-float-layers` get the attribute `quantize_mode`. The command: `run_sensitive_layer`.
  }];
  let options = [
    Option<"dataset", "dataset", "std::string", "", "Folder of samples: images, npy or npz">,
    Option<"dataList", "data-list", "std::string", "", "File that lists the samples">,
    Option<"inputNum", "input-num", "int64_t", "10", "How many samples calibrate; 0: all">,
    Option<"inferenceNum", "inference-num", "int64_t", "10", "How many samples compare networks">,
    Option<"tuneNum", "tune-num", "int64_t", "5", "How many samples tune the thresholds; 0: none">,
    Option<"tuneList", "tune-list", "std::string", "", "File that lists the samples that tune">,
    Option<"debugCmd", "debug-cmd", "std::string", "", "key;key=value: tuning rules">,
    Option<"histogramBinNum", "histogram-bin-num", "int64_t", "2048", "Bins of a histogram">,
    Option<"calibrationTable", "calibration-table", "std::string", "", "Calibration table; without it the thresholds of the types">,
    Option<"maxFloatLayers", "max-float-layers", "int64_t", "5", "How many layers become float">,
    Option<"expectedCos", "expected-cos", "double", "0.99", "Outputs that are more similar to the float ones than this are good enough">,
    Option<"globalCompareLayers", "global-compare-layers", "std::string", "", "Tensors that are compared instead of the outputs: a,b or a:0.3,b:0.7">,
    Option<"postProcess", "post-process", "std::string", "", "What is done to outputs before they are compared: a Python file, yolov3, yolov5, yolox or nanodet">,
    Option<"postProcessTimeout", "post-process-timeout", "int64_t", "120", "Seconds that one call of it may take">,
    Option<"chip", "chip", "std::string", "", "The chip; without it the module's">,
    Option<"fpType", "fp-type", "std::string", "\"auto\"", "F32, F16 or BF16; auto: the chip's own">,
    Option<"memory", "memory", "std::string", "", "Memory that the process may take, such as 800M; half of what is free without it">,
    Option<"threads", "threads", "int64_t", "0", "Worker threads; 0: one a processor">,
    Option<"quiet", "quiet", "bool", "false", "Do not say what was found">
  ];
}

def QtableBySimilarity : ModulePass<"qtable-by-similarity"> {
  let summary = "Let layers that are far from the float network run in float, from the inputs on";
  let description = [{
    A layer that is less similar to the float network's than `min-layer-cos` becomes float with those that read it, until the outputs are good
    enough: the attribute `quantize_mode`. Thresholds are those of `calibration-table` or of the result types. The command: `run_qtable`.
  }];
  let options = [
    Option<"dataset", "dataset", "std::string", "", "Folder of samples: images, npy or npz">,
    Option<"dataList", "data-list", "std::string", "", "File that lists the samples">,
    Option<"inputNum", "input-num", "int64_t", "10", "How many samples compare networks">,
    Option<"calibrationTable", "calibration-table", "std::string", "", "Calibration table; without it the thresholds of the types">,
    Option<"minLayerCos", "min-layer-cos", "double", "0.99", "Layers less similar than this become float">,
    Option<"expectedCos", "expected-cos", "double", "0.99", "Outputs that are more similar to the float ones than this are good enough">,
    Option<"globalCompareLayers", "global-compare-layers", "std::string", "", "Tensors that are compared instead of the outputs: a,b or a:0.3,b:0.7">,
    Option<"postProcess", "post-process", "std::string", "", "What is done to outputs before they are compared: a Python file, yolov3, yolov5, yolox or nanodet">,
    Option<"postProcessTimeout", "post-process-timeout", "int64_t", "120", "Seconds that one call of it may take">,
    Option<"chip", "chip", "std::string", "", "The chip; without it the module's">,
    Option<"fpType", "fp-type", "std::string", "\"auto\"", "F32, F16 or BF16; auto: the chip's own">,
    Option<"memory", "memory", "std::string", "", "Memory that the process may take, such as 800M; half of what is free without it">,
    Option<"threads", "threads", "int64_t", "0", "Worker threads; 0: one a processor">,
    Option<"quiet", "quiet", "bool", "false", "Do not say what was found">
  ];
}

//===-- New weights -------------------------------------------------------------------------------------------------===//

def EqualizeWeights : ModulePass<"top-equalize-weights"> {
  let summary = "Give the channels of successive convolutions like ranges of weights";
  let description = [{
    The new weights get a file of their own (`net_we_top_f32_all_weight.npz`), the module names it. A ReLU with an upper limit between two
    convolutions does not commute with the factors: such pairs change what the network computes, which a warning says.
  }];
  let options = [
    Option<"skipLimited", "skip-limited", "bool", "false", "Leave pairs alone that have a limited ReLU between them">,
    Option<"weightFile", "weight-file", "std::string", "", "File name of the new weights">
  ];
}

def SmoothQuant : ModulePass<"top-smooth-quant"> {
  let summary = "Move what makes activations hard to quantize into the weights of matrix products";
  let description = [{
    Runs samples through the network. Normalizations that go into matrix products and additions alike get a Mul by a weight for the products.
    The new weights get a file of their own (`net_sq_top_f32_all_weight.npz`), the module names it.
  }];
  let options = [
    Option<"dataset", "dataset", "std::string", "", "Folder of samples: images, npy or npz">,
    Option<"dataList", "data-list", "std::string", "", "File that lists the samples">,
    Option<"inputNum", "input-num", "int64_t", "0", "How many samples; 0: all">,
    Option<"threads", "threads", "int64_t", "0", "Worker threads; 0: one a processor">,
    Option<"weightFile", "weight-file", "std::string", "", "File name of the new weights">
  ];
}

def CorrectSoftmax : ModulePass<"top-correct-softmax"> {
  let summary = "Scale attention weights so that the largest ones use all of the 8 bits";
  let description = [{
    A Mul behind the softmax and one behind the matrix product that reads it; thresholds of the first should be 1. Weights as with
    `top-smooth-quant`, marked `smc`.
  }];
  let options = [
    Option<"dataset", "dataset", "std::string", "", "Folder of samples: images, npy or npz">,
    Option<"dataList", "data-list", "std::string", "", "File that lists the samples">,
    Option<"inputNum", "input-num", "int64_t", "0", "How many samples; 0: all">,
    Option<"threads", "threads", "int64_t", "0", "Worker threads; 0: one a processor">,
    Option<"weightFile", "weight-file", "std::string", "", "File name of the new weights">
  ];
}

def CorrectBias : ModulePass<"top-correct-bias"> {
  let summary = "Add to the biases of convolutions what quantization shifts their results by";
  let description = [{
    Runs samples through the network in INT8 (with the thresholds of `table`) and in the chip's float type. The new weights get a file of
    their own (`net_bc_top_f32_all_weight.npz`), the module names it.
  }];
  let options = [
    Option<"table", "table", "std::string", "", "Calibration table">,
    Option<"qtable", "qtable", "std::string", "", "Quantize table: layers that do not run in INT8">,
    Option<"dataset", "dataset", "std::string", "", "Folder of samples: images, npy or npz">,
    Option<"dataList", "data-list", "std::string", "", "File that lists the samples">,
    Option<"inputNum", "input-num", "int64_t", "30", "How many samples; 0: all">,
    Option<"chip", "chip", "std::string", "\"bm1684x\"", "The chip: bm1684x, bm1688, cv186x, bm1690, bm1684, cv183x, cv182x, cv181x or cv180x">,
    Option<"expectedCos", "expected-cos", "double", "0.99", "Outputs that are more similar need no correction">,
    Option<"minLayerCos", "min-layer-cos", "double", "0.99", "Layers that are at least this similar keep their bias">,
    Option<"threads", "threads", "int64_t", "0", "Worker threads; 0: one a processor">,
    Option<"weightFile", "weight-file", "std::string", "", "File name of the new weights">
  ];
}

//===-- Lowering ----------------------------------------------------------------------------------------------------===//

def ProcessorAssign : ModulePass<"processor-assign"> {
  let summary = "Decide chip and quantization of a module";
  let options = [
    Option<"chip", "chip", "std::string", "", "The chip: bm1684x, bm1688, cv186x, bm1690, bm1684, cv183x, cv182x, cv181x or cv180x">,
    Option<"mode", "mode", "std::string", "", "The quantization: INT8, F16, BF16 or F32, as far as the chip has it">,
    Option<"numDevice", "num_device", "int64_t", "1", "Number of devices">,
    Option<"numCore", "num_core", "int64_t", "1", "Number of cores">,
    Option<"addrMode", "addr_mode", "std::string", "\"auto\"", "Where inputs and outputs live: auto, or the chip's own (basic, io_tag)">,
    Option<"highPrecision", "high_precision", "bool", "false", "Prefer float where a choice exists">
  ];
}

def ProcessorTopOptimize : ModulePass<"processor-top-optimize"> {
  let summary = "Rewrites of Top that the chip asks for";
}

def FusePreprocess : ModulePass<"fuse-preprocess"> {
  let summary = "Preprocessing of pictures inside the network: its inputs become frames of bytes";
  let options = [
    Option<"mode", "mode", "std::string", "", "How it is computed: INT8, F16, BF16 or F32; empty: as the module">,
    Option<"customizationFormat", "customization_format", "std::string", "", "RGB_PLANAR, RGB_PACKED, BGR_PLANAR, BGR_PACKED, GRAYSCALE, YUV420_PLANAR, YUV_NV21, YUV_NV12 or RGBA_PLANAR; empty: the network's own pixels">,
    Option<"align", "align", "bool", "false", "Rows and planes of frames begin at multiples of the chip's alignment">
  ];
}

def ConvertTopToTpu : ModulePass<"convert-top-to-tpu"> {
  let summary = "Lower every op for the module's chip and mode";
  let options = [
    Option<"qtable", "qtable", "std::string", "", "Quantize table">,
    Option<"weightFileName", "weightFileName", "std::string", "", "File name of the lowered weights">,
    Option<"asymmetric", "asymmetric", "bool", "false", "Zero points other than 0">,
    Option<"doWinograd", "doWinograd", "bool", "false", "Winograd convolutions">,
    Option<"qGroupSize", "q_group_size", "int64_t", "0", "Group size of weight-only quantization">,
    Option<"qSymmetric", "q_symmetric", "bool", "false", "Symmetric weight-only quantization">,
    Option<"matmulPerchannel", "matmul_perchannel", "bool", "false", "Scales per column of MatMul">,
    Option<"geluMode", "gelu_mode", "std::string", "\"normal\"", "How GELU is computed">
  ];
}

def StripIoQuant : ModulePass<"strip-io-quant"> {
  let summary = "Remove the casts at the network's borders: inputs arrive and outputs leave quantized";
  let options = [
    Option<"quantInput", "quant_input", "bool", "false", "All inputs">,
    Option<"quantOutput", "quant_output", "bool", "false", "All outputs">,
    Option<"quantInputList", "quant_input_list", "std::string", "", "Only these inputs: positions from 1 on, comma separated">,
    Option<"quantOutputList", "quant_output_list", "std::string", "", "Only these outputs: positions from 1 on, comma separated">
  ];
}

//===-- Code generation ---------------------------------------------------------------------------------------------===//

def Codegen : ModulePass<"codegen"> {
  let summary = "Generate instructions and write a bmodel";
  let options = [Option<"modelFile", "model_file", "std::string", "", "The bmodel to write">];
}

#endif
