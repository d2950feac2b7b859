//! Evenly spaced points and counting between them, as PyTorch's `linspace` and `histc` do it.

/// `count` points from `start` to `end`, in f32, counted from the nearer end with fused multiply-add.
pub fn linspace(start: f32, end: f32, count: usize) -> impl Iterator<Item = f32> {
    let step = (end - start) / (count - 1) as f32;
    (0..count).map(move |i| if i < count / 2 { step.mul_add(i as f32, start) } else { (-step).mul_add((count - i - 1) as f32, end) })
}

/// Counts of the elements in equal bins from `min` to `max`; where these are equal, one is added on either side.
pub fn histc(x: &[f32], bins: usize, min: f32, max: f32) -> Vec<f32> {
    let (low, high) = if min == max { (min - 1.0, max + 1.0) } else { (min, max) };
    let mut counts = vec![0u32; bins];
    for &v in x.iter().filter(|v| (low..=high).contains(*v)) {
        let bin = ((v - low) * bins as f32 / (high - low)) as usize;
        counts[bin.min(bins - 1)] += 1;
    }
    counts.into_iter().map(|n| n as f32).collect()
}
