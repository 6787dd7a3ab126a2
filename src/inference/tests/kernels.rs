//! Every kernel against the same formula in f64.

use proptest::prelude::*;

use super::{cosine, noise};
use crate::inference::kernels;
use crate::inference::linear::{Epilogue, Linear, forward_portable};

fn product(x: &[f32], weight: &[f32], bias: &[f32], rows: usize) -> Vec<f64> {
    let inputs = weight.len() / bias.len();
    let one = |r: usize, o: usize| -> f64 {
        (0..inputs).map(|i| f64::from(x[r * inputs + i]) * f64::from(weight[o * inputs + i])).sum::<f64>() + f64::from(bias[o])
    };
    (0..rows).flat_map(|r| (0..bias.len()).map(move |o| (r, o))).map(|(r, o)| one(r, o)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn linear_equals_the_plain_product(rows in 1usize..40, inputs in 1usize..70, outputs in 1usize..80, seed in 0u32..1000) {
        let (x, weight, bias) = (noise(rows * inputs, seed), noise(outputs * inputs, seed + 1), noise(outputs, seed + 2));
        let layer = Linear::new(&weight, &bias);
        let mut out = noise(rows * outputs, seed + 3);
        let before = out.clone();
        let expected = product(&x, &weight, &bias, rows);
        layer.forward(&x, rows, &mut out, Epilogue::Add);
        for ((o, b), e) in out.iter().zip(&before).zip(&expected) {
            prop_assert!((f64::from(*o) - f64::from(*b) - e).abs() < 1e-4);
        }
        layer.forward(&x, rows, &mut out, Epilogue::Store);
        let portable = forward_portable(&layer, &x, rows);
        let padded = outputs.next_multiple_of(32);
        for (i, (o, e)) in out.iter().zip(&expected).enumerate() {
            prop_assert!((f64::from(*o) - e).abs() < 1e-4);
            prop_assert!((f64::from(portable[i / outputs * padded + i % outputs]) - e).abs() < 1e-4);
        }
    }

    #[test]
    fn gelu_equals_the_error_function(x in -12.0f32..12.0) {
        let mut value = [x];
        kernels::gelu(&mut value, 1, 1, 1);
        // erf by its series; it converges for every argument that occurs here.
        let z = f64::from(x) / std::f64::consts::SQRT_2;
        let erf = if z.abs() > 5.0 { z.signum() } else {
            let (mut term, mut sum) = (z, z);
            for n in 1..200 {
                term *= -z * z / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            sum * 2.0 / std::f64::consts::PI.sqrt()
        };
        prop_assert!((f64::from(value[0]) - 0.5 * f64::from(x) * (1.0 + erf)).abs() < 3e-6);
    }

    #[test]
    fn softmax_adds_up_to_one_and_keeps_order(length in 1usize..200, scale in 0.1f32..60.0, seed in 0u32..1000) {
        let logits: Vec<f32> = noise(length, seed).iter().map(|v| v * scale).collect();
        let mut row = logits.clone();
        kernels::softmax(&mut row);
        let top = logits.iter().copied().fold(f32::MIN, f32::max);
        let total: f64 = logits.iter().map(|v| f64::from(v - top).exp()).sum();
        prop_assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        for (p, l) in row.iter().zip(&logits) {
            prop_assert!((f64::from(*p) - f64::from(l - top).exp() / total).abs() < 1e-5);
        }
    }
}

#[test]
fn layer_norm_gives_mean_zero_and_variance_one() {
    for width in [5, 16, 33, 256] {
        let mut values: Vec<f32> = noise(3 * width, 9).iter().map(|v| v * 7.0 + 3.0).collect();
        kernels::layer_norm(&mut values, &vec![1.0; width], &vec![0.0; width], 1e-12);
        for row in values.chunks(width) {
            let mean: f32 = row.iter().sum::<f32>() / width as f32;
            let variance: f32 = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / width as f32;
            assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4, "width {width}: {mean} {variance}");
        }
    }
}

#[test]
fn attention_equals_the_plain_formula() {
    for (tokens, heads, width) in [(1, 1, 8), (7, 2, 20), (17, 4, 64), (40, 3, 16)] {
        let hidden = heads * width;
        let qkv = noise(tokens * 3 * hidden, 5);
        let mut out = vec![0.0; tokens * hidden];
        kernels::attention(&qkv, &mut out, hidden, heads, usize::MAX, &mut Vec::new());
        for token in 0..tokens {
            for head in 0..heads {
                let at = |t: usize, part: usize, d: usize| f64::from(qkv[t * 3 * hidden + part * hidden + head * width + d]);
                let score = |o: usize| (0..width).map(|d| at(token, 0, d) * at(o, 1, d)).sum::<f64>() / (width as f64).sqrt();
                let weights: Vec<f64> = (0..tokens).map(|o| score(o).exp()).collect();
                let total: f64 = weights.iter().sum();
                for d in 0..width {
                    let expected: f64 = (0..tokens).map(|o| weights[o] / total * at(o, 2, d)).sum();
                    assert!((f64::from(out[token * hidden + head * width + d]) - expected).abs() < 1e-5);
                }
            }
        }
    }
}

#[test]
fn integer_products_are_the_same_on_every_path() {
    use crate::inference::quantised::{QuantLinear, integer_paths};
    for (inputs, rows) in [(4, 1), (30, 5), (256, 12)] {
        let layer = QuantLinear::new(&noise(inputs * 32, 4), &[0.0; 32]);
        let width = inputs.next_multiple_of(4);
        // The largest activations meet the largest weights: no path may saturate.
        let x: Vec<u8> = (0..rows * width).map(|i| if i % 3 == 0 { 255 } else { (i * 37 % 256) as u8 }).collect();
        let [best, portable, avx2] = integer_paths(&x, rows, &layer);
        assert_eq!(best, portable, "{inputs} inputs");
        assert_eq!(avx2, portable, "{inputs} inputs");
        assert!(portable[..rows * 32].iter().any(|s| *s != 0));
    }
}

#[test]
fn quantised_layers_are_near_the_exact_ones() {
    use crate::inference::quantised::{QuantLinear, QuantScratch};
    for (inputs, outputs, rows) in [(256, 768, 25), (64, 33, 1), (30, 7, 13)] {
        let (weight, bias, x) = (noise(inputs * outputs, 1), noise(outputs, 2), noise(inputs * rows, 3));
        let (exact, quant) = (Linear::new(&weight, &bias), QuantLinear::new(&weight, &bias));
        for epilogue in [Epilogue::Store, Epilogue::Gelu, Epilogue::Add] {
            let (mut a, mut b) = (noise(rows * outputs, 5), noise(rows * outputs, 5));
            exact.forward(&x, rows, &mut a, epilogue);
            quant.forward(&x, rows, &mut b, epilogue, &mut QuantScratch::default());
            assert!(cosine(&a, &b) > 0.9995, "{inputs} {outputs} {rows} {epilogue:?}: {}", cosine(&a, &b));
        }
        // A batch gives what single rows give, to the bit.
        let mut all = vec![0.0; rows * outputs];
        quant.forward(&x, rows, &mut all, Epilogue::Store, &mut QuantScratch::default());
        for row in 0..rows {
            let mut one = vec![0.0; outputs];
            quant.forward(&x[row * inputs..], 1, &mut one, Epilogue::Store, &mut QuantScratch::default());
            assert_eq!(one, all[row * outputs..(row + 1) * outputs]);
        }
    }
}
