//! LayerNorm, GroupNorm, InstanceNorm of floats, in f32: rows on the lanes. The mean, then the mean of squared distances from it,
//! then the elements; rows that do not fit local memory are read three times.

use crate::Context;
use crate::conv::steps;
use crate::emit::{Arithmetic as A, Ddr};
use crate::float::{load_f32, store_f32};
use crate::local::{Arena, LANE_BYTES, LANES, Layout, Local, aligned_bytes, half};
use crate::place::Place;
use crate::reduce::sum_column;
use tpuc_ops::{Op, Program, top};
use tpuc_tensor::DType;

/// Rows of `channels * area` elements, `rows` in each of `images`; a channel has its own weight and bias.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rows {
    images: u64,
    rows: u64,
    channels: u64,
    area: u64,
    /// Weights from a row to the next.
    weight_stride: u64,
    eps: f32,
}

fn rows(op: &Op, shape: &[i64]) -> Result<Rows, String> {
    let product = |list: &[i64]| list.iter().product::<i64>() as u64;
    let picture = || match shape {
        [n, c, rest @ ..] => Ok((*n as u64, *c as u64, product(rest))),
        _ => Err(format!("an input of {} dimensions has no channels", shape.len())),
    };
    match op {
        Op::TpuLayerNorm(op) => {
            let form = top::LayerNorm { axis: op.axis, ..Default::default() };
            let first = form.resolve(shape.len())?;
            Ok(Rows { images: 1, rows: product(&shape[..first]), channels: product(&shape[first..]), area: 1, weight_stride: 0, eps: op.eps as f32 })
        }
        Op::TpuGroupNorm(op) => {
            let (images, channels, area) = picture()?;
            let rows = op.num_groups.max(1) as u64;
            if channels % rows != 0 {
                return Err(format!("{channels} channels in {rows} groups"));
            }
            Ok(Rows { images, rows, channels: channels / rows, area, weight_stride: channels / rows, eps: op.eps as f32 })
        }
        Op::TpuInstanceNorm(op) => {
            let (images, rows, area) = picture()?;
            Ok(Rows { images, rows, channels: 1, area, weight_stride: 1, eps: op.eps as f32 })
        }
        _ => Err("no kernel".into()),
    }
}

pub fn refuse(program: &Program, node: usize) -> Option<String> {
    let node = &program.nodes[node];
    if node.operands.iter().skip(3).any(|&v| program.tensor_type(v).is_some()) {
        return Some("with tables".into());
    }
    rows(&node.op, &program.tensor_type(node.operands[0])?.shape).err()
}

/// What the passes over a row share.
struct Layer {
    rows: Rows,
    x: Place,
    y: Place,
    parameters: [Option<Place>; 2],
}

/// A part of rows in local memory.
#[derive(Clone, Copy)]
struct Tile {
    image: u64,
    row: u64,
    lanes: u64,
    channel: u64,
    channels: u64,
    column: u64,
    columns: u64,
}

pub fn generate(context: &mut Context, node: usize) -> Result<(), String> {
    let (x, y) = (Place::floats(context, context.operand(node, 0))?, Place::floats(context, context.result(node))?);
    let rows = rows(&context.program.nodes[node].op, &x.shape)?;
    let mut parameter = |index: usize| {
        let value = context.operand(node, index);
        context.program.tensor_type(value).is_some().then(|| Place::floats(context, value)).transpose()
    };
    let parameters = [parameter(1)?, parameter(2)?];
    let layer = Layer { rows, x, y, parameters };
    // As they are, in f32, their squares, the weights twice, the result.
    let fits = |elements: u64, channels: u64| {
        let types = [layer.x.dtype, DType::F32, DType::F32, layer.y.dtype];
        let parts: u64 = types.iter().map(|&t| aligned_bytes(1, elements, t) + 64).sum();
        parts + 4 * (aligned_bytes(1, channels, DType::F32) + 64) + 1024 <= LANE_BYTES / 2
    };
    let most_columns = crate::tile::largest(rows.area, |a| fits(a, 1)).ok_or("no element fits local memory")?;
    let most_channels = crate::tile::largest(rows.channels, |c| fits(c * most_columns, c)).unwrap_or(1);
    let mut turn = 0;
    for image in 0..rows.images {
        for (row, lanes) in steps(rows.rows, LANES) {
            let tiles: Vec<Tile> = steps(rows.channels, most_channels)
                .flat_map(|(channel, channels)| steps(rows.area, most_columns).map(move |(column, columns)| Tile { image, row, lanes, channel, channels, column, columns }))
                .collect();
            layer.rows_of(context, &tiles, lanes, &mut turn)?;
        }
    }
    Ok(())
}

impl Layer {
    /// All passes over one set of rows.
    fn rows_of(&self, context: &mut Context, tiles: &[Tile], lanes: u64, turn: &mut usize) -> Result<(), String> {
        let single = |index: u64| Local::aligned(LANE_BYTES - 64 * (index + 1), [1, lanes, 1, 1], DType::F32);
        let (mean, root, part) = (single(0), single(1), single(2));
        let factor = 1.0 / (self.rows.channels * self.rows.area) as f32;
        for squared in [false, true] {
            let total = if squared { root } else { mean };
            for (i, tile) in tiles.iter().enumerate() {
                let mut arena = self.half(turn);
                let x = self.load(context, &mut arena, tile)?;
                if squared {
                    context.emit.binary_float(A::Sub, x, spread(mean, x.shape), x);
                    context.emit.binary_float(A::Mul, x, x, x);
                }
                let sum = if i == 0 { total } else { part };
                let column = x.with_shape([1, lanes, x.shape[2] * x.shape[3], 1]);
                sum_column(&mut context.emit, column, sum);
                if i > 0 {
                    context.emit.binary_float(A::Add, total, part, total);
                }
            }
            context.emit.multiply_float(total, factor, total);
        }
        context.emit.add_float(root, self.rows.eps, part);
        context.emit.reciprocal_root(part, root);
        for tile in tiles {
            let mut arena = self.half(turn);
            let x = self.load(context, &mut arena, tile)?;
            context.emit.binary_float(A::Sub, x, spread(mean, x.shape), x);
            context.emit.binary_float(A::Mul, x, spread(root, x.shape), x);
            for (place, operation) in self.parameters.iter().zip([A::Mul, A::Add]) {
                let Some(place) = place else { continue };
                let first = tile.row * self.rows.weight_stride + tile.channel;
                let ddr = Ddr { offset: place.base.offset + first * place.size(), strides: [0, self.rows.weight_stride, 1, 1], ..place.base };
                let w = load_f32(context, &mut arena, [1, tile.lanes, tile.channels, 1], place.dtype, ddr)?;
                let block = (aligned_bytes(1, tile.channels, DType::F32) / 4) as u32;
                context.emit.binary_float(operation, x, w.with_shape(x.shape).with_layout(Layout::Free([0, block, 1, 0])), x);
            }
            store_f32(context, &mut arena, x, self.y.dtype, self.ddr(&self.y, tile))?;
        }
        Ok(())
    }

    /// A half of local memory without the numbers of the rows at its end.
    fn half(&self, turn: &mut usize) -> Arena {
        *turn += 1;
        if *turn % 2 == 0 { half(0) } else { Arena::new(LANE_BYTES / 2, LANE_BYTES - 256) }
    }

    fn load(&self, context: &mut Context, arena: &mut Arena, tile: &Tile) -> Result<Local, String> {
        load_f32(context, arena, [1, tile.lanes, tile.channels, tile.columns], self.x.dtype, self.ddr(&self.x, tile))
    }

    fn ddr(&self, place: &Place, tile: &Tile) -> Ddr {
        let row = self.rows.channels * self.rows.area;
        let first = (tile.image * self.rows.rows + tile.row) * row + tile.channel * self.rows.area + tile.column;
        Ddr { offset: place.base.offset + first * place.size(), strides: [0, row, self.rows.area, 1], ..place.base }
    }
}

/// One number a lane, read as if it were the whole row.
fn spread(one: Local, shape: [u64; 4]) -> Local {
    one.with_shape(shape).with_layout(Layout::Free([0, 16, 0, 0]))
}
