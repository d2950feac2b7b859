// What the verifiers of ops that move elements say.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @permute(%x: tensor<1x4x6xf32>) {
  // expected-error@+1 {{'top.Permute' op order [0, 1, 1] is no order of 3 dimensions}}
  %0 = "top.Permute"(%x) {order = [0, 1, 1]} : (tensor<1x4x6xf32>) -> tensor<1x4x4xf32>
  return
}

// -----

func.func @permute_result(%x: tensor<1x4x6xf32>) {
  // expected-error@+1 {{'top.Permute' op result shape is [1, 4, 6], expected [1, 6, 4]}}
  %0 = "top.Permute"(%x) {order = [0, 2, 1]} : (tensor<1x4x6xf32>) -> tensor<1x4x6xf32>
  return
}

// -----

func.func @slice_empty(%x: tensor<1x4xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.Slice' op dimension 1 of size 4 has no elements from 3 to 2 by 1}}
  %0 = "top.Slice"(%x, %n, %n, %n) {offset = [0, 3], steps = [1, 1], ends = [1, 2]} : (tensor<1x4xf32>, none, none, none) -> tensor<1x1xf32>
  return
}

// -----

func.func @slice_lengths(%x: tensor<1x4xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.Slice' op steps has 1 entries, expected 2}}
  %0 = "top.Slice"(%x, %n, %n, %n) {offset = [0, 3], steps = [1], ends = [1, 2]} : (tensor<1x4xf32>, none, none, none) -> tensor<1x1xf32>
  return
}

// -----

func.func @slice_axes(%x: tensor<1x4xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.Slice' op axes [1, -1] name dimension 1 twice}}
  %0 = "top.Slice"(%x, %n, %n, %n) {offset = [0, 0], steps = [1, 1], ends = [1, 2], axes = [1, -1]} : (tensor<1x4xf32>, none, none, none) -> tensor<1x2xf32>
  return
}

// -----

func.func @slice_lists(%x: tensor<1x4xf32>, %l: tensor<2xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.Slice' op offsets, ends and steps must be attributes}}
  %0 = "top.Slice"(%x, %l, %n, %n) {offset = [0, 0], steps = [1, 1], ends = [1, 2]} : (tensor<1x4xf32>, tensor<2xf32>, none, none) -> tensor<1x2xf32>
  return
}

// -----

func.func @split_sizes(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Split' op split_size [1, 2] does not divide 4 into 2 parts}}
  %a, %b = "top.Split"(%x) {axis = 1 : si32, num = 2 : i64, split_size = [1, 2]} : (tensor<1x4xf32>) -> (tensor<1x1xf32>, tensor<1x2xf32>)
  return
}

// -----

func.func @split_results(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Split' op expected 4 results, found 2}}
  %a, %b = "top.Split"(%x) {axis = 1 : si32, num = 4 : i64} : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xf32>)
  return
}

// -----

func.func @split_many(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Split' op num is 9223372036854775807, expected 1 to 65536}}
  %a = "top.Split"(%x) {axis = 1 : si32, num = 9223372036854775807 : i64} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return
}

// -----

func.func @concat(%x: tensor<1x4x2xf32>, %y: tensor<1x4x3xf32>) {
  // expected-error@+1 {{'top.Concat' op operand 1 of shape [1, 4, 3] does not continue [1, 4, 2] along dimension 1}}
  %0 = "top.Concat"(%x, %y) {axis = 1 : si32} : (tensor<1x4x2xf32>, tensor<1x4x3xf32>) -> tensor<1x8x2xf32>
  return
}

// -----

func.func @concat_axis(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Concat' op axis is 2, expected -2 to 1 (rank 2)}}
  %0 = "top.Concat"(%x, %x) {axis = 2 : si32} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x8xf32>
  return
}

// -----

func.func @squeeze(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Squeeze' op dimension 1 of [1, 4] is not 1}}
  %0 = "top.Squeeze"(%x) {axes = [1]} : (tensor<1x4xf32>) -> tensor<1xf32>
  return
}

// -----

func.func @unsqueeze(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Unsqueeze' op axes [0, 0] name dimension 0 twice}}
  %0 = "top.Unsqueeze"(%x) {axes = [0, 0]} : (tensor<1x4xf32>) -> tensor<1x1x1x4xf32>
  return
}

// -----

func.func @tile(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Tile' op tile is [2], expected 2 positive counts}}
  %0 = "top.Tile"(%x) {tile = [2]} : (tensor<1x4xf32>) -> tensor<1x8xf32>
  return
}

// -----

func.func @tile_large(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Tile' op a result of shape [1, 4611686018427387904] is too large}}
  %0 = "top.Tile"(%x) {tile = [1, 1152921504606846976]} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return
}

// -----

func.func @expand(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Expand' op shapes [1, 4] and [3] do not broadcast}}
  %0 = "top.Expand"(%x) {shape = [3]} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return
}

// -----

func.func @gather(%x: tensor<1x4xf32>, %i: tensor<2xf32>) {
  // expected-error@+1 {{'top.Gather' op without keepdims there is one index, found indices of shape [2]}}
  %0 = "top.Gather"(%x, %i) {axis = 1 : si32, keepdims = false} : (tensor<1x4xf32>, tensor<2xf32>) -> tensor<1xf32>
  return
}

// -----

func.func @depth2space(%x: tensor<1x6x2x2xf32>) {
  // expected-error@+1 {{'top.Depth2Space' op 6 channels are not divisible into blocks of 2x2}}
  %0 = "top.Depth2Space"(%x) {block_h = 2 : i64, block_w = 2 : i64, is_CRD = false, is_inversed = false} : (tensor<1x6x2x2xf32>) -> tensor<1x1x4x4xf32>
  return
}

// -----

func.func @space2depth(%x: tensor<1x6x3x2xf32>) {
  // expected-error@+1 {{'top.Depth2Space' op 3x2 pixels are not divisible into blocks of 2x2}}
  %0 = "top.Depth2Space"(%x) {block_h = 2 : i64, block_w = 2 : i64, is_CRD = false, is_inversed = true} : (tensor<1x6x3x2xf32>) -> tensor<1x24x1x1xf32>
  return
}

// -----

func.func @block(%x: tensor<1x6x3x2xf32>) {
  // expected-error@+1 {{'top.Depth2Space' op block is 0x2, expected positive sizes}}
  %0 = "top.Depth2Space"(%x) {block_h = 0 : i64, block_w = 2 : i64, is_CRD = false, is_inversed = true} : (tensor<1x6x3x2xf32>) -> tensor<1x24x1x1xf32>
  return
}

// -----

func.func @reverse(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Reverse' op axis is 5, expected -2 to 1 (rank 2)}}
  %0 = "top.Reverse"(%x) {axis = 5 : i64} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return
}
