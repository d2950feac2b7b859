use super::*;
use half::f16;

/// A small generator of numbers; the same ones every time.
struct Random(u64);

impl Random {
    fn next(&mut self, range: std::ops::RangeInclusive<i64>) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        range.start() + ((self.0 >> 33) as i64) % (range.end() - range.start() + 1)
    }

    /// A half float, of all sizes.
    fn half(&mut self) -> f32 {
        f16::from_f32(self.next(-2047..=2047) as f32 * 2f32.powi(self.next(-24..=-8) as i32)).to_f32()
    }

    /// Dense, over one or two spatial dimensions, with enough channels to be worth tiles; sometimes so many that the filter is
    /// multiplied in several parts.
    fn shape(&mut self) -> ConvShape {
        loop {
            let spatial = self.next(1..=2) as usize;
            let (times, side) = if self.next(0..=3) == 0 { (10, 7) } else { (1, 23) };
            let mut input = vec![self.next(1..=2) as usize, self.next(9..=80) as usize * times];
            let mut filter = vec![self.next(9..=70) as usize, input[1]];
            (0..spatial).for_each(|_| input.push(self.next(1..=side) as usize));
            (0..spatial).for_each(|_| filter.push(self.next(1..=3) as usize));
            let mut list = |low, high, n: usize| (0..n).map(|_| self.next(low..=high)).collect::<Vec<_>>();
            let (strides, pads, dilations) = (list(1, 2, spatial), list(0, 2, 2 * spatial), list(1, 2, spatial));
            if let Ok(shape) = ConvShape::new(&input, &filter, &strides, &pads, Some(&dilations), 1) {
                return shape;
            }
        }
    }
}

/// The definition over channels-last input, in f64: the sum, and the sum of magnitudes.
fn definition(s: &ConvShape, x: &[f64], w: &[f64]) -> Vec<(f64, f64)> {
    let (input, output, kernel) = (two(&s.input[2..], 1), two(&s.output[2..], 1), two(&s.filter[2..], 1));
    let (before, strides, dilations) = (two(&s.before, 0), two(&s.strides, 1), two(&s.dilations, 1));
    let mut y = Vec::new();
    for n in 0..s.output[0] {
        for at in 0..output[0] * output[1] * s.filter[0] {
            let (oy, ox, o) = (at / s.filter[0] / output[1], at / s.filter[0] % output[1], at % s.filter[0]);
            let (mut sum, mut size) = (0.0, 0.0);
            for tap in 0..kernel[0] * kernel[1] {
                let iy = (oy * strides[0] + tap / kernel[1] * dilations[0]).wrapping_sub(before[0]);
                let ix = (ox * strides[1] + tap % kernel[1] * dilations[1]).wrapping_sub(before[1]);
                if iy < input[0] && ix < input[1] {
                    for c in 0..s.filter[1] {
                        let product = x[((n * input[0] + iy) * input[1] + ix) * s.filter[1] + c] * w[(o * s.filter[1] + c) * kernel[0] * kernel[1] + tap];
                        (sum, size) = (sum + product, size + product.abs());
                    }
                }
            }
            y.push((sum, size));
        }
    }
    y
}

fn size(shape: &[usize]) -> usize {
    shape.iter().product()
}

#[test]
fn bytes_are_summed_exactly() {
    let mut r = Random(3);
    let mut workspace = Workspace::new().unwrap();
    for round in 0..80 {
        let _team = threads::Team::of(1 + round / 2 % 2);
        let (shape, signed) = (r.shape(), round % 2 == 0);
        let x: Vec<i64> = (0..size(&shape.input)).map(|_| if signed { r.next(-128..=127) } else { r.next(0..=255) }).collect();
        let w: Vec<i16> = (0..size(&shape.filter)).map(|_| r.next(-128..=127) as i16).collect();
        let Some(conv) = TileConv::of_bytes(&shape, if signed { Kind::S8 } else { Kind::U8 }, &w) else { return };
        let mut sums = vec![0; size(&shape.output)];
        match signed {
            true => conv.run_integers(Ints::I8(&x.iter().map(|&v| v as i8).collect::<Vec<_>>()), &mut sums, &mut workspace).unwrap(),
            false => conv.run_integers(Ints::U8(&x.iter().map(|&v| v as u8).collect::<Vec<_>>()), &mut sums, &mut workspace).unwrap(),
        }
        let expected = definition(&shape, &x.iter().map(|&v| v as f64).collect::<Vec<_>>(), &w.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
        assert!(sums.iter().zip(&expected).all(|(&s, e)| f64::from(s) == e.0), "{shape:?} signed {signed}");
    }
}

#[test]
fn half_floats_are_summed_as_floats() {
    let mut r = Random(4);
    let mut workspace = Workspace::new().unwrap();
    for round in 0..80 {
        let shape = r.shape();
        // Every third time bf16, whose products take one part.
        let mut number = |_| if round % 3 == 0 { f32::from_bits(r.half().to_bits() & 0xffff_0000) } else { r.half() };
        let x: Vec<f32> = (0..size(&shape.input)).map(&mut number).collect();
        let w: Vec<f32> = (0..size(&shape.filter)).map(&mut number).collect();
        let bias: Vec<f32> = (0..shape.filter[0]).map(|_| r.half()).collect();
        let Some(conv) = TileConv::of_floats(&shape, &w) else { return };
        assert_eq!(conv.weights(), w);
        let mut y = vec![0.0; size(&shape.output)];
        assert!(conv.run_floats(&x, &bias, Activation::Relu, &mut y, &mut workspace).unwrap());
        let expected = definition(&shape, &x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), &w.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
        for (i, (&y, &(sum, size))) in y.iter().zip(&expected).enumerate() {
            let bias = f64::from(bias[i % shape.filter[0]]);
            // The product that is left out, and roundings of the sums.
            let bound = size * 2f64.powi(-16) + (size + bias.abs()) * f64::from(f32::EPSILON) * 6.0;
            assert!((f64::from(y) - (sum + bias).max(0.0)).abs() <= bound, "{shape:?}: {y} instead of {}, magnitudes {size}", sum + bias);
        }
    }
}

#[test]
fn other_floats_are_left_to_others() {
    let shape = ConvShape::new(&[1, 256, 16, 16], &[256, 256, 1, 1], &[1, 1], &[0; 4], None, 1).unwrap();
    if !is_available() {
        return;
    }
    let mut workspace = Workspace::new().unwrap();
    assert!(TileConv::halves(&shape, &vec![0.1; 256 * 256]).is_none());
    let conv = TileConv::halves(&shape, &vec![f16::from_f32(0.1).to_f32(); 256 * 256]).unwrap();
    let mut y = vec![0.0; 256 * 256];
    for wrong in [f32::INFINITY, f32::NAN, 0.1, 1e-38] {
        let mut x = vec![0.5; 256 * 256];
        x[77] = wrong;
        assert!(!conv.run_floats(&x, &[], Activation::None, &mut y, &mut workspace).unwrap(), "{wrong}");
    }
    assert!(conv.run_floats(&vec![0.5; 256 * 256], &[], Activation::None, &mut y, &mut workspace).unwrap());
    assert!(y.iter().all(|&v| v == 128.0 * f16::from_f32(0.1).to_f32()));
}

/// A plane of padding alone would take all memory: it is left to oneDNN, which reads the input where it is.
#[test]
fn huge_paddings_are_left_to_others() {
    let far = 1 << 23;
    let shape = ConvShape::new(&[1, 64, 8, 8], &[64, 64, 3, 3], &[far, far], &[far; 4], None, 1).unwrap();
    assert!(TileConv::integer(&shape, true, &[1; 64 * 64 * 9]).is_none() && TileConv::halves(&shape, &[1.0; 64 * 64 * 9]).is_none());
}

#[test]
fn other_floats_are_summed_nearly() {
    let mut r = Random(6);
    let shape = ConvShape::new(&[1, 128, 26, 26], &[96, 128, 3, 3], &[1, 1], &[1; 4], None, 1).unwrap();
    let x: Vec<f32> = (0..size(&shape.input)).map(|_| r.half() * 1.1).collect();
    let w: Vec<f32> = (0..size(&shape.filter)).map(|_| r.half() * 1.3).collect();
    let Some(conv) = TileConv::near(&shape, &w) else { return };
    let (mut y, mut workspace) = (vec![0.0; size(&shape.output)], Workspace::new().unwrap());
    assert!(conv.run_floats(&x, &[], Activation::None, &mut y, &mut workspace).unwrap());
    let expected = definition(&shape, &x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), &w.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
    assert!(y.iter().zip(&expected).all(|(&y, &(sum, size))| (f64::from(y) - sum).abs() <= size * 2f64.powi(-14)));
    let mut x = x;
    x[5] = f32::NAN;
    assert!(!conv.run_floats(&x, &[], Activation::None, &mut y, &mut workspace).unwrap());
}

/// Not a test: what a convolution takes (`cargo test --release -p tpuc-kernels measured -- --ignored --nocapture`).
#[test]
#[ignore = "measures"]
fn measured() {
    let mut workspace = Workspace::new().unwrap();
    let _team = threads::Team::of(1);
    for (side, inner, outer, k, stride) in [(26, 128, 256, 3, 1), (208, 16, 32, 3, 1), (104, 32, 64, 3, 1), (52, 64, 128, 3, 1), (26, 128, 256, 3, 1), (13, 256, 512, 3, 1), (13, 512, 1024, 3, 1), (13, 1024, 256, 1, 1), (26, 384, 256, 3, 1), (28, 240, 40, 1, 1), (56, 64, 128, 3, 2), (416, 16, 16, 3, 1)] {
        let pad = k as i64 / 2;
        let shape = ConvShape::new(&[1, inner, side, side], &[outer, inner, k, k], &[stride, stride], &[pad; 4], None, 1).unwrap();
        let flop = 2.0 * (size(&shape.output) * size(&shape.filter[1..])) as f64;
        let mut r = Random(5);
        let x: Vec<f32> = (0..size(&shape.input)).map(|_| r.half()).collect();
        let w: Vec<f32> = (0..size(&shape.filter)).map(|_| r.half()).collect();
        let q: Vec<i8> = x.iter().map(|&v| (v * 10.0) as i8).collect();
        let wq: Vec<i16> = w.iter().map(|&v| (v * 10.0) as i8 as i16).collect();
        let bias = vec![0.5; outer];
        let (mut y, mut sums) = (vec![0.0; size(&shape.output)], vec![0; size(&shape.output)]);
        let mut time = |name: &str, body: &mut dyn FnMut(&mut Workspace)| {
            body(&mut workspace);
            let rounds = (2e9 / flop).ceil() as usize;
            let best = (0..3).map(|_| {
                let start = std::time::Instant::now();
                (0..rounds).for_each(|_| body(&mut workspace));
                start.elapsed().as_secs_f64() / rounds as f64
            }).fold(f64::MAX, f64::min);
            print!("  {name} {:.0} GFLOP/s", flop / best / 1e9);
        };
        print!("{side} {inner}->{outer} {k}x{k}/{stride}:");
        if let Some(conv) = TileConv::halves(&shape, &w) {
            time("tiles f16", &mut |workspace| assert!(conv.run_floats(&x, &bias, Activation::None, &mut y, workspace).unwrap()));
        }
        let direct = crate::conv::FloatConv::new(&shape, &w, Some(&bias), Activation::None, crate::Layout::ChannelsLast).unwrap();
        time("oneDNN", &mut |workspace| direct.run(&x, &mut y, workspace).unwrap());
        let ordered = crate::conv::FloatConv::in_reference_order(&shape, &w, Some(&bias), Activation::None).unwrap();
        time("in order", &mut |workspace| ordered.run(&x, &mut y, workspace).unwrap());
        if let Some(conv) = TileConv::integer(&shape, true, &wq) {
            time("tiles s8", &mut |workspace| conv.run_integers(Ints::I8(&q), &mut sums, workspace).unwrap());
        }
        let ints = crate::conv::IntConv::direct_sums(&shape, true, &wq).unwrap();
        time("oneDNN s8", &mut |workspace| ints(Ints::I8(&q), &mut sums, workspace));
        println!();
    }
}
