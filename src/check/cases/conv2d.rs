//! Convolutions, forward and backward.

use super::super::case::{Case, CaseBuilder};
use super::{POINTWISE, each_through, through, through_name};
use crate::model::Activation;
use crate::plan::{Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward, ConvShape, Op};
use crate::shape::{Padding, Window};

#[derive(Clone, Copy)]
struct ConvCase {
    n: usize,
    input: [usize; 2],
    ic: usize,
    oc: usize,
    kernel: [usize; 2],
    strides: [usize; 2],
    padding: Padding,
    dilation: [usize; 2],
    groups: usize,
}

/// A convolution with stride 1 and `valid` padding.
fn conv(n: usize, input: [usize; 2], [ic, oc]: [usize; 2], kernel: [usize; 2]) -> ConvCase {
    ConvCase {
        n,
        input,
        ic,
        oc,
        kernel,
        strides: [1, 1],
        padding: Padding::Valid,
        dilation: [1, 1],
        groups: 1,
    }
}

impl ConvCase {
    fn strides(self, strides: [usize; 2]) -> Self {
        Self { strides, ..self }
    }

    fn dilation(self, dilation: [usize; 2]) -> Self {
        Self { dilation, ..self }
    }

    fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    fn same(self) -> Self {
        Self {
            padding: Padding::Same,
            ..self
        }
    }

    fn shape(&self) -> ConvShape {
        let window = Window::dilated(
            self.input,
            (self.kernel.into(), self.dilation.into()),
            self.strides.into(),
            self.padding,
        );
        ConvShape {
            window: window.expect("every window of the table fits"),
            ic: self.ic,
            oc: self.oc,
            groups: self.groups,
        }
    }

    fn vars(&self) -> String {
        let ([ih, iw], [kh, kw], [sh, sw]) = (self.input, self.kernel, self.strides);
        let padding = format!("{:?}", self.padding).to_lowercase();
        let mut vars = format!(
            "n={} in={ih}x{iw}x{} oc={} kernel={kh}x{kw} strides={sh}x{sw} padding={padding}",
            self.n, self.ic, self.oc
        );
        if !self.shape().is_plain() {
            let [dh, dw] = self.dilation;
            vars += &format!(" dilation={dh}x{dw} groups={}", self.groups);
        }
        vars
    }

    fn x_shape(&self) -> [usize; 4] {
        [self.n, self.input[0], self.input[1], self.ic]
    }

    fn y_shape(&self) -> [usize; 4] {
        let window = self.shape().window;
        [self.n, window.oh, window.ow, self.oc]
    }

    fn w_shape(&self) -> [usize; 4] {
        [
            self.kernel[0],
            self.kernel[1],
            self.ic / self.groups,
            self.oc,
        ]
    }
}

fn table() -> Vec<ConvCase> {
    vec![
        // The three of mnist-cnn.
        conv(2, [28, 28], [1, 32], [3, 3]),
        conv(2, [13, 13], [32, 64], [3, 3]),
        conv(3, [5, 5], [64, 64], [3, 3]),
        // The smallest possible, and one output pixel that covers the whole image.
        conv(1, [1, 1], [1, 1], [1, 1]),
        conv(2, [5, 5], [3, 4], [5, 5]),
        // Primes.
        conv(1, [7, 5], [1, 1], [3, 3]),
        conv(2, [7, 7], [3, 5], [3, 3]).same(),
        conv(2, [13, 11], [3, 7], [3, 3]).strides([2, 2]),
        conv(2, [13, 11], [3, 7], [3, 3]).strides([2, 2]).same(),
        conv(1, [11, 13], [4, 6], [5, 5]).same(),
        conv(1, [13, 7], [5, 11], [3, 3]),
        // Rectangular kernels and strides.
        conv(2, [11, 7], [6, 4], [2, 3]),
        conv(2, [11, 7], [6, 4], [2, 3]).same(),
        conv(1, [5, 13], [1, 3], [1, 7]),
        conv(1, [5, 13], [1, 3], [1, 7]).same(),
        conv(1, [13, 5], [3, 1], [7, 1]).same(),
        conv(1, [7, 11], [3, 32], [3, 3]).strides([2, 1]).same(),
        conv(1, [11, 7], [5, 1], [3, 2]).strides([1, 3]),
        // Strides larger than the kernel, which skip pixels.
        conv(1, [11, 11], [3, 4], [2, 2]).strides([3, 3]),
        conv(1, [11, 11], [3, 4], [2, 2]).strides([3, 3]).same(),
        conv(2, [7, 7], [4, 4], [1, 1]).strides([2, 2]),
        // A kernel larger than its image.
        conv(1, [2, 3], [3, 4], [5, 5]).same(),
        conv(2, [1, 1], [4, 8], [3, 3]).same(),
        // Even kernels: the extra row and column of padding are at the end.
        conv(1, [8, 8], [4, 8], [4, 4]).same(),
        conv(1, [8, 8], [4, 8], [2, 2]).strides([2, 2]).same(),
        // Too large to unroll.
        conv(2, [13, 13], [3, 4], [11, 11]),
        conv(1, [9, 9], [1, 3], [17, 17]).same(),
        conv(2, [28, 28], [1, 8], [28, 28]),
        // Few and many input and output channels.
        conv(2, [7, 7], [32, 32], [1, 1]),
        conv(1, [5, 5], [64, 3], [3, 3]),
        conv(1, [5, 5], [3, 64], [3, 3]).same(),
        conv(1, [5, 5], [32, 6], [3, 3]),
        conv(1, [5, 5], [4, 32], [3, 3]),
        conv(1, [5, 5], [65, 33], [3, 3]),
        conv(1, [7, 7], [32, 64], [3, 3]).strides([2, 2]).same(),
        conv(1, [12, 12], [16, 16], [3, 3]),
        // Dilation.
        conv(2, [11, 9], [3, 5], [3, 3]).dilation([2, 2]),
        conv(2, [11, 9], [3, 5], [3, 3]).dilation([2, 3]).same(),
        conv(1, [7, 13], [4, 8], [2, 5]).dilation([3, 1]).same(),
        conv(1, [5, 5], [2, 4], [3, 3]).dilation([4, 4]).same(),
        // Groups, and depthwise convolutions.
        conv(2, [7, 7], [4, 6], [3, 3]).groups(2),
        conv(2, [7, 5], [6, 3], [3, 2]).groups(3).same(),
        conv(1, [9, 9], [8, 8], [3, 3])
            .groups(4)
            .strides([2, 2])
            .same(),
        conv(2, [7, 7], [5, 5], [3, 3]).groups(5),
        conv(2, [8, 7], [3, 6], [3, 3]).groups(3).same(),
        conv(1, [9, 7], [4, 8], [2, 3])
            .groups(4)
            .dilation([2, 1])
            .same(),
        conv(3, [5, 5], [32, 32], [3, 3]).groups(32).strides([2, 1]),
        // A batch larger than a workgroup.
        conv(65, [3, 3], [1, 2], [3, 3]),
        conv(17, [4, 4], [2, 8], [3, 3]).same(),
        // 63, 64, 65, 255, 256 and 257 output pixels.
        conv(1, [9, 7], [1, 1], [1, 1]),
        conv(1, [8, 8], [1, 1], [1, 1]),
        conv(1, [13, 5], [2, 1], [1, 1]),
        conv(1, [15, 17], [2, 1], [1, 1]),
        conv(1, [16, 16], [1, 1], [1, 1]),
        conv(1, [1, 257], [3, 1], [1, 1]),
    ]
}

/// The convolution that is tried with every activation.
fn small() -> ConvCase {
    conv(2, [7, 5], [3, 5], [3, 2]).same()
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for conv in table() {
        cases.push(forward(conv, true, Activation::Relu));
    }
    for activation in [&[Activation::Linear], &POINTWISE[..]].concat() {
        for bias in [false, true] {
            cases.push(forward(small(), bias, activation));
        }
    }
    cases.extend(special());
    for (i, conv) in table().into_iter().enumerate() {
        let through = (i % 2 == 0).then_some(Activation::Relu);
        cases.push(backward_input(conv, through));
    }
    cases.extend(each_through().map(|f| backward_input(small(), f)));
    for (i, conv) in table().into_iter().enumerate() {
        cases.push(backward_weight(conv, i % 3 != 2));
    }
    cases.extend([false, true].map(|bias| backward_weight(small(), bias)));
    cases
}

fn forward(conv: ConvCase, bias: bool, activation: Activation) -> Case {
    let b = CaseBuilder::new(conv.n);
    let x = b.uniform(conv.x_shape().iter().product());
    forward_of(b, conv, x, bias, activation, "")
}

/// One input value is NaN or infinite: only the windows that contain it may be affected. With too
/// few channels for Winograd's filtering, which does not keep infinities.
fn special() -> Vec<Case> {
    [("nan", f32::NAN), ("inf", f32::INFINITY)]
        .map(|(name, value)| {
            let conv = conv(2, [7, 7], [4, 8], [3, 3]).same();
            let b = CaseBuilder::new(conv.n);
            let mut x = b.uniform(conv.x_shape().iter().product());
            x[(3 * 7 + 2) * 4 + 1] = value;
            forward_of(b, conv, x, true, Activation::Relu, name)
        })
        .into()
}

fn forward_of(
    mut b: CaseBuilder,
    conv: ConvCase,
    x: Vec<f32>,
    with_bias: bool,
    activation: Activation,
    input: &str,
) -> Case {
    let w = b.parameter("kernel", &conv.w_shape());
    let bias = with_bias.then(|| b.parameter("bias", &[conv.oc]));
    let op = Op::Conv2dForward(Conv2dForward {
        shape: conv.shape(),
        x: b.input_of("x", &conv.x_shape(), x),
        w,
        bias,
        y: b.output("y", &conv.y_shape()),
        activation,
    });
    let (vars, activation) = (conv.vars(), activation.name());
    let input = if input.is_empty() {
        String::new()
    } else {
        format!(" input={input}")
    };
    b.finish(
        op,
        &format!("{vars} bias={with_bias} activation={activation}{input}"),
    )
}

fn backward_input(conv: ConvCase, f: Option<Activation>) -> Case {
    let mut b = CaseBuilder::new(conv.n);
    let op = Op::Conv2dBackwardInput(Conv2dBackwardInput {
        shape: conv.shape(),
        w: b.parameter("kernel", &conv.w_shape()),
        dy: b.input("dy", &conv.y_shape()),
        through: through(&mut b, &conv.x_shape(), f),
        dx: b.output("dx", &conv.x_shape()),
    });
    let vars = format!("{} through={}", conv.vars(), through_name(f));
    b.finish(op, &vars)
}

fn backward_weight(conv: ConvCase, with_bias: bool) -> Case {
    let mut b = CaseBuilder::new(conv.n);
    let w = b.parameter("kernel", &conv.w_shape());
    let bias = with_bias.then(|| b.parameter("bias", &[conv.oc]));
    let op = Op::Conv2dBackwardWeight(Conv2dBackwardWeight {
        shape: conv.shape(),
        x: b.input("x", &conv.x_shape()),
        dy: b.input("dy", &conv.y_shape()),
        dw: b.gradient(w),
        dbias: bias.map(|bias| b.gradient(bias)),
    });
    b.finish(op, &format!("{} bias={with_bias}", conv.vars()))
}
