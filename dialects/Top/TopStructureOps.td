// Ops of the Top dialect that move elements, reduce, normalize, and resize. Included by TopOps.td.
#ifndef TPUC_TOP_STRUCTURE_OPS
#define TPUC_TOP_STRUCTURE_OPS

//===-- Movement ----------------------------------------------------------------------------------------------------===//

def Top_PermuteOp : Top_ComputeOp<"Permute"> {
  let summary = "Dimensions in another order";
  let description = [{ Dimension `i` of the result is dimension `order[i]` of the input. An empty order reverses. }];
  let arguments = (ins AnyRankedTensor:$input, I64ArrayAttr:$order, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_SliceOp : Top_ComputeOp<"Slice"> {
  let summary = "Every step-th element of a range, along some or all dimensions";
  let description = [{
    With `axes` the lists hold one entry an axis. Without, one a dimension; `shape-infer` brings the first form into the second
    and keeps in `hasparamConvert_axes` which axes were named. Negative offsets and ends count from the end; ends beyond
    a dimension mean all of it. The operands behind the input stand for lists that only run time knows: here they are none.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyTensorOrNone:$offsetT,
    AnyTensorOrNone:$endsT,
    AnyTensorOrNone:$stepsT,
    I64ArrayAttr:$offset,
    I64ArrayAttr:$steps,
    I64ArrayAttr:$ends,
    DefaultValuedAttr<I64ArrayAttr, "{}">:$axes,
    DefaultValuedAttr<I64ArrayAttr, "{}">:$hasparamConvert_axes,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_SplitOp : Top_ComputeOp<"Split"> {
  let summary = "Consecutive parts along an axis";
  let description = [{
    As many results as `num`, of sizes `split_size` (equal ones without it). `top-split-to-slice` turns it into Slices, the form
    in which everything later knows it.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    SI32Attr:$axis,
    I64Attr:$num,
    OptionalAttr<I64ArrayAttr>:$split_size,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs Variadic<AnyRankedTensor>:$outputs);
}

def Top_ConcatOp : Top_ComputeOp<"Concat"> {
  let summary = "Tensors one behind the other along an axis";
  let arguments = (ins
    Variadic<AnyRankedTensor>:$inputs,
    DefaultValuedAttr<SI32Attr, "1">:$axis,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    DefaultValuedAttr<BoolAttr, "false">:$only_merge,
    DefaultValuedAttr<StrAttr, "\"HalfAwayFromZero\"">:$round_mode,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_SqueezeOp : Top_ComputeOp<"Squeeze"> {
  let summary = "Without some or all dimensions of size 1";
  let description = [{ Without `axes` all of them go. A result without dimensions is kept as one of size 1. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    I64ArrayAttr:$axes,
    DefaultValuedAttr<BoolAttr, "false">:$is_scalar,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_UnsqueezeOp : Top_ComputeOp<"Unsqueeze"> {
  let summary = "With further dimensions of size 1";
  let description = [{ `axes` are positions in the result. }];
  let arguments = (ins AnyRankedTensor:$input, I64ArrayAttr:$axes, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_TileOp : Top_ComputeOp<"Tile"> {
  let summary = "Repeated along every dimension";
  let arguments = (ins AnyRankedTensor:$input, OptionalAttr<I64ArrayAttr>:$tile, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_ExpandOp : Top_ComputeOp<"Expand"> {
  let summary = "Broadcast to a shape";
  let description = [{ As in elementwise ops: dimensions of size 1 stretch, those of the input that are larger than `shape`'s stay. }];
  let arguments = (ins AnyRankedTensor:$input, DefaultValuedAttr<I64ArrayAttr, "{}">:$shape, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_GatherOp : Top_ComputeOp<"Gather"> {
  let summary = "Slices of the input by index";
  let description = [{
    The dimension `axis` is replaced by those of `indices`; without `keepdims` a single index removes it. Indices are floats when
    they are weights, as all weights are; negative ones count from the end.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$indices,
    DefaultValuedAttr<BoolAttr, "true">:$keepdims,
    DefaultValuedAttr<SI32Attr, "0">:$axis,
    DefaultValuedAttr<BoolAttr, "false">:$is_scalar,
    DefaultValuedAttr<BoolAttr, "false">:$is_lora,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_Depth2SpaceOp : Top_ComputeOp<"Depth2Space"> {
  let summary = "Blocks of channels become blocks of pixels, or back";
  let description = [{
    [N, C bh bw, H, W] to [N, C, H bh, W bw]; the other way with `is_inversed`. `is_CRD`: the channel is outermost among what is
    taken apart, else the block is. `swap_cr`: the column of the block stands before its row.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    I64Attr:$block_h,
    I64Attr:$block_w,
    BoolAttr:$is_CRD,
    BoolAttr:$is_inversed,
    DefaultValuedAttr<BoolAttr, "true">:$in_is_NCHW,
    DefaultValuedAttr<BoolAttr, "true">:$out_is_NCHW,
    DefaultValuedAttr<BoolAttr, "false">:$swap_cr,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_ReverseOp : Top_ComputeOp<"Reverse"> {
  let summary = "One dimension from back to front";
  let arguments = (ins AnyRankedTensor:$input, I64Attr:$axis, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

//===-- Resizing ----------------------------------------------------------------------------------------------------===//

def Top_UpsampleOp : Top_ComputeOp<"Upsample"> {
  let summary = "Every pixel repeated";
  let arguments = (ins
    AnyRankedTensor:$input,
    I64Attr:$scale_h,
    I64Attr:$scale_w,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_InterpOp : Top_ComputeOp<"Interp"> {
  let summary = "Resized over the spatial dimensions, by the nearest pixel or linearly";
  let description = [{
    Sizes are those of `target_shape` (a weight) where there is one, else `floor(size * scale)`. `mode` is nearest or linear; `coord_mode`, which
    position of the input a result pixel has, is one of half_pixel, pytorch_half_pixel, align_corners, asymmetric.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyTensorOrNone:$target_shape,
    StrAttr:$mode,
    StrAttr:$coord_mode,
    DefaultValuedAttr<F64Attr, "-1.0">:$scale_h,
    DefaultValuedAttr<F64Attr, "-1.0">:$scale_w,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

//===-- Reduction ---------------------------------------------------------------------------------------------------===//

def Top_ReduceOp : Top_ComputeOp<"Reduce"> {
  let summary = "Mean, sum, extremum, product or norm over some dimensions";
  let description = [{ `mode`: ReduceMean, ReduceSum, ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    I64ArrayAttr:$axes,
    BoolAttr:$keepdims,
    StrAttr:$mode,
    DefaultValuedAttr<BoolAttr, "false">:$is_scalar,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_ArgOp : Top_ComputeOp<"Arg"> {
  let summary = "Where along an axis the extremum is";
  let description = [{ `mode`: ArgMax or ArgMin. The second result is the extremum itself, or none. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    I64Attr:$axis,
    BoolAttr:$keepdims,
    StrAttr:$mode,
    DefaultValuedAttr<BoolAttr, "true">:$select_last_index,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$indices, AnyTensorOrNone:$values);
}

//===-- Normalization -----------------------------------------------------------------------------------------------===//

def Top_LayerNormOp : Top_ComputeOp<"LayerNorm"> {
  let summary = "(x - mean) / sqrt(variance + eps) over the dimensions from axis on, then weight and bias";
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyTensorOrNone:$weight,
    AnyTensorOrNone:$bias,
    I64ArrayAttr:$normalized_shape,
    SI32Attr:$axis,
    F64Attr:$eps,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_InstanceNormOp : Top_ComputeOp<"InstanceNorm"> {
  let summary = "(x - mean) / sqrt(variance + eps) of every channel of every image, then weight and bias per channel";
  let arguments = (ins AnyRankedTensor:$input, AnyTensorOrNone:$weight, AnyTensorOrNone:$bias, F64Attr:$eps, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_GroupNormOp : Top_ComputeOp<"GroupNorm"> {
  let summary = "(x - mean) / sqrt(variance + eps) of every group of channels, then weight and bias per channel";
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyTensorOrNone:$weight,
    AnyTensorOrNone:$bias,
    I64Attr:$num_groups,
    F64Attr:$eps,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

//===-- Linear ------------------------------------------------------------------------------------------------------===//

def Top_DeconvOp : Top_ComputeOp<"Deconv"> {
  let summary = "Transposed convolution over one to three spatial dimensions";
  let description = [{
    Input [N, C, H, W], filter [OC/group, C, KH, KW] whose elements stand in the order [OC, C/group, KH, KW], bias [OC] or none. Sizes: `(size - 1) stride + (kernel - 1) dilation + 1 - pads +
    output_padding`.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$filter,
    AnyTensorOrNone:$bias,
    I64ArrayAttr:$kernel_shape,
    I64ArrayAttr:$strides,
    I64ArrayAttr:$pads,
    DefaultValuedAttr<I64Attr, "1">:$group,
    OptionalAttr<I64ArrayAttr>:$dilations,
    OptionalAttr<I64ArrayAttr>:$output_padding,
    DefaultValuedAttr<BoolAttr, "false">:$dynweight_reorderd,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

//===-- Choice ------------------------------------------------------------------------------------------------------===//

def Top_CompareOp : Top_ComputeOp<"Compare"> {
  let summary = "1 where a relation holds, else 0, with broadcasting";
  let description = [{ `mode`: Equal, NotEqual, Greater, GreaterOrEqual, Less, LessOrEqual, And, Xor. }];
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs, StrAttr:$mode, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_CompareConstOp : Top_ComputeOp<"CompareConst"> {
  let summary = "1 where a relation to a constant holds, else 0";
  let description = [{ `inversed`: the constant stands on the left. Mode Not is 1 where the input is 0. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    StrAttr:$mode,
    F64Attr:$const_val,
    BoolAttr:$inversed,
    DefaultValuedAttr<BoolAttr, "false">:$is_scalar,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_WhereOp : Top_ComputeOp<"Where"> {
  let summary = "Elements of one tensor where a condition is not 0, of another elsewhere, with broadcasting";
  let description = [{ A branch that is one number stands in the attributes, and its operand is none. }];
  let arguments = (ins
    AnyRankedTensor:$cond,
    AnyTensorOrNone:$tbrn,
    AnyTensorOrNone:$fbrn,
    DefaultValuedAttr<BoolAttr, "false">:$x_is_const,
    DefaultValuedAttr<BoolAttr, "false">:$y_is_const,
    DefaultValuedAttr<F64Attr, "0.0">:$x_const_val,
    DefaultValuedAttr<F64Attr, "0.0">:$y_const_val,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

//===-- Attention ---------------------------------------------------------------------------------------------------===//

def Top_AttentionOp : Top_ComputeOp<"Attention"> {
  let summary = "Attention of several heads: projections, softmax(q k^T scale + mask) v of every head, output projection";
  let description = [{
    Made by `processor-top-optimize` for chips that compute it as one. `keys` and `values` are what they are projected from, often `input` itself.
    A mask has a number for every key of an image. `scale_param` has the 8-bit scales of what is computed inside: queries, keys, values, their product,
    that times `scale`, probabilities, and the product of probabilities and values.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$keys,
    AnyRankedTensor:$values,
    AnyRankedTensor:$queries_weight,
    AnyTensorOrNone:$queries_bias,
    AnyRankedTensor:$keys_weight,
    AnyTensorOrNone:$keys_bias,
    AnyRankedTensor:$values_weight,
    AnyTensorOrNone:$values_bias,
    AnyRankedTensor:$out_weight,
    AnyTensorOrNone:$out_bias,
    AnyTensorOrNone:$mask,
    DefaultValuedAttr<F64ArrayAttr, "{1.0}">:$scale_param,
    DefaultValuedAttr<I64ArrayAttr, "{0}">:$zp_param,
    F64Attr:$scale,
    I64Attr:$head,
    DefaultValuedAttr<I64Attr, "0">:$dim,
    DefaultValuedAttr<I64Attr, "0">:$has_bias,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

#endif
