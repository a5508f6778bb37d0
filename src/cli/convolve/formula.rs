//! The arithmetic of a convolution, with the numbers put in.

use cnn_gpu::inspect::number;
use cnn_gpu::model::Activation;
use cnn_gpu::shape::Window;

use super::cube::Cube;
use super::pass::FilterKernel;

/// The formula of an output's size.
pub const SIZE: &str = "size = (h - fh + 2p)/s + 1";

/// The formula of a pool's size, whose windows lie side by side.
pub const POOLED: &str = "size = (h - fh)/s + 1";

/// One axis of a window.
struct WindowAxis {
    name: &'static str,
    input: usize,
    kernel: usize,
    dilation: usize,
    stride: usize,
    before: usize,
    output: usize,
    is_padded: bool,
}

/// The output's height and width, a line each: `height = (6 - 3 + 2*0)/1 + 1 = 4`. A pool's windows
/// are not padded, and have no such term.
pub fn sizes(window: &Window, is_pool: bool) -> Vec<String> {
    let w = window;
    [
        ("height", w.ih, w.kh, w.dh, w.sh, w.pad_top, w.oh),
        ("width", w.iw, w.kw, w.dw, w.sw, w.pad_left, w.ow),
    ]
    .into_iter()
    .flat_map(|(name, input, kernel, dilation, stride, before, output)| {
        WindowAxis {
            name,
            input,
            kernel,
            dilation,
            stride,
            before,
            output,
            is_padded: !is_pool,
        }
        .lines()
    })
    .collect()
}

impl WindowAxis {
    /// The cells from the first to the last of a window.
    fn reach(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    fn lines(&self) -> Vec<String> {
        let (kernel, dilation, reach) = (self.kernel, self.dilation, self.reach());
        let dilated = (dilation > 1).then(|| {
            let name = self.name;
            format!("the filter's {name} with its gaps: ({kernel} - 1)*{dilation} + 1 = {reach}")
        });
        dilated.into_iter().chain([self.size()]).collect()
    }

    fn size(&self) -> String {
        let Self {
            name,
            input,
            stride,
            before,
            output,
            ..
        } = *self;
        let reach = self.reach();
        // All of the padding is used, so that without a remainder the last window ends with it.
        let after = ((output - 1) * stride + reach).saturating_sub(input + before);
        let padding = match (self.is_padded, before == after) {
            (false, _) => String::new(),
            (true, true) => format!(" + 2*{before}"),
            (true, false) => format!(" + {before} + {after}"),
        };
        let room = input + before + after - reach;
        let exact = if room.is_multiple_of(stride) {
            String::new()
        } else {
            format!("{} + 1, rounded down ", number(room as f64 / stride as f64))
        };
        let equals = if exact.is_empty() { "" } else { "= " };
        format!("{name} = ({input} - {reach}{padding})/{stride} + 1 = {exact}{equals}{output}")
    }
}

/// The sum of one window, element by element.
pub fn worked_sum(
    input: &Cube,
    kernel: &FilterKernel,
    window: &Window,
    [oy, ox]: [usize; 2],
) -> String {
    let rows = [oy * window.sh, (window.kh - 1) * window.dh, window.pad_top];
    let columns = [ox * window.sw, (window.kw - 1) * window.dw, window.pad_left];
    let mut out = format!(
        "output[{oy}, {ox}]: the filter lies on rows {} and columns {} of the image, counted from 0\n",
        span(rows),
        span(columns)
    );
    let mut sums = Vec::new();
    for channel in 0..kernel.weights.channels {
        if kernel.weights.channels > 1 {
            out += &format!("channel {channel}\n");
        }
        for ky in 0..window.kh {
            let terms: Vec<(f32, f32)> = (0..window.kw)
                .map(|kx| {
                    let cell = window.row(oy, ky).zip(window.column(ox, kx));
                    let value = cell.map_or(0.0, |(y, x)| input.at(y, x, channel));
                    (value, kernel.weights.at(ky, kx, channel))
                })
                .collect();
            let sum: f64 = terms
                .iter()
                .map(|&(a, b)| f64::from(a) * f64::from(b))
                .sum();
            sums.push(sum);
            let words: Vec<String> = terms.iter().map(|&(a, b)| product(a, b)).collect();
            out += &format!("  {} = {}\n", words.join(" + "), number(sum));
        }
    }
    let padding = window.taps() - window.cells(oy, ox).count();
    if padding > 0 {
        out += &format!(
            "{padding} of {} cells lie in the padding and are 0\n",
            window.taps()
        );
    }
    out + &total(&sums, kernel)
}

/// `10*(-1)`
fn product(value: f32, weight: f32) -> String {
    let word = |value: f32| number(value.into());
    if weight < 0.0 {
        format!("{}*({})", word(value), word(weight))
    } else {
        format!("{}*{}", word(value), word(weight))
    }
}

/// `1 to 3`, or `-1 (padding) to 1`; from the start, the length and the padding before.
fn span([start, length, before]: [usize; 3]) -> String {
    let first = start as i64 - before as i64;
    let last = first + length as i64;
    format!("{first} to {last}")
}

/// The sum of the rows' sums, with bias and activation if there are any.
fn total(sums: &[f64], kernel: &FilterKernel) -> String {
    let bias = kernel.bias.map(f64::from);
    let terms: Vec<String> = sums.iter().map(|&sum| signed(sum)).collect();
    let sum = sums.iter().sum::<f64>() + bias.unwrap_or(0.0);
    let bias = bias.map_or(String::new(), |bias| format!(" + {} (bias)", signed(bias)));
    let mut out = format!("{}{bias} = {}\n", terms.join(" + "), number(sum));
    let activation = kernel.activation;
    if activation != Activation::Linear {
        let (name, sum_, y) = (activation.name(), number(sum), activation.apply(sum));
        out += &format!("{name}({sum_}) = {}\n", number(y));
    }
    out
}

fn signed(value: f64) -> String {
    let text = number(value);
    if text.starts_with('-') {
        format!("({text})")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use cnn_gpu::shape::Padding;

    use super::*;

    fn window(input: usize, kernel: usize, stride: usize, padding: Padding) -> Window {
        Window::new([input, input], kernel.into(), stride.into(), padding).unwrap()
    }

    #[test]
    fn the_formula_has_the_numbers_put_in() {
        let height = |w: Window, is_pool| sizes(&w, is_pool)[0].clone();
        for (w, is_pool, expected) in [
            (
                window(6, 3, 1, Padding::Valid),
                false,
                "height = (6 - 3 + 2*0)/1 + 1 = 4",
            ),
            (
                window(6, 3, 1, Padding::Same),
                false,
                "height = (6 - 3 + 2*1)/1 + 1 = 6",
            ),
            (
                window(6, 3, 2, Padding::Same),
                false,
                "height = (6 - 3 + 0 + 1)/2 + 1 = 3",
            ),
            (
                window(6, 3, 2, Padding::Valid),
                false,
                "height = (6 - 3 + 2*0)/2 + 1 = 1.5 + 1, rounded down = 2",
            ),
            (
                window(4, 2, 2, Padding::Valid),
                true,
                "height = (4 - 2)/2 + 1 = 2",
            ),
        ] {
            assert_eq!(height(w, is_pool), expected);
        }
        let dilated =
            Window::dilated([9, 9], (3.into(), 2.into()), 1.into(), Padding::Valid).unwrap();
        let lines = sizes(&dilated, false);
        assert_eq!(
            lines[0],
            "the filter's height with its gaps: (3 - 1)*2 + 1 = 5"
        );
        assert_eq!(lines[1], "height = (9 - 5 + 2*0)/1 + 1 = 5");
    }

    #[test]
    fn a_sum_is_worked_element_by_element() {
        let input = Cube::new([2, 2], 1, vec![1.0, 2.0, 3.0, 4.0]);
        let kernel = FilterKernel {
            weights: Cube::new([2, 2], 1, vec![1.0, -1.0, 0.5, 2.0]),
            is_learned: true,
            bias: Some(-20.0),
            activation: Activation::Relu,
        };
        let w = window(2, 2, 1, Padding::Same);
        let text = worked_sum(&input, &kernel, &w, [0, 0]);
        let expected = "\
output[0, 0]: the filter lies on rows 0 to 1 and columns 0 to 1 of the image, counted from 0
  1*1 + 2*(-1) = -1
  3*0.5 + 4*2 = 9.5
(-1) + 9.5 + (-20) (bias) = -11.5
relu(-11.5) = 0
";
        assert_eq!(text, expected);
        let text = worked_sum(&input, &kernel, &w, [1, 1]);
        assert!(
            text.contains("  4*1 + 0*(-1) = 4\n  0*0.5 + 0*2 = 0\n"),
            "{text}"
        );
        assert!(
            text.contains("3 of 4 cells lie in the padding and are 0\n"),
            "{text}"
        );
    }
}
