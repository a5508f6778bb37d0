// beta: draws from symmetric beta distributions, in integers; see src/plan/op/beta.rs, which is the twin
// of this file. The host puts this before the kernels that use it.
//
// Host constants: E1 to E8 and S1 to S6, the coefficients of the series of 2^-x and of
// sin²(π x / 4).

// The units of shares.
const SHARE_ONE = 16777216u;

// The upper word of a product.
fn high(a: u32, b: u32) -> u32 {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let middle = a1 * b0 + ((a0 * b0) >> 16u);
    return a1 * b1 + (middle >> 16u) + ((a0 * b1 + (middle & 0xffffu)) >> 16u);
}

// 1 - 2^-x
fn one_minus_exponential(x: u32) -> u32 {
    return high(x, E1 - high(x, E2 - high(x, E3 - high(x, E4 - high(x, E5 - high(x, E6 - high(x, E7 - high(x, E8))))))));
}

// sin²(π x / 4)
fn sine_square(x: u32) -> u32 {
    let z = high(x, x);
    return high(z, S1 - high(z, S2 - high(z, S3 - high(z, S4 - high(z, S5 - high(z, S6))))));
}

// -log2 of u / 2^32, in units of 2^-26; 0 is treated as 1.
fn negative_log2(u: u32) -> u32 {
    let v = max(u, 1u);
    let zeros = countLeadingZeros(v);
    var mantissa = v << zeros;
    var fraction = 0u;
    for (var i = 0u; i < 26u; i++) {
        let square = high(mantissa, mantissa);
        let carry = square >> 31u;
        fraction = (fraction << 1u) | carry;
        mantissa = square << (1u - carry);
    }
    return ((zeros + 1u) << 26u) - fraction;
}

// (u / 2^32)^(1/a), with a in units of 2^-16.
fn root_of_uniform(u: u32, a: u32) -> u32 {
    let log = negative_log2(u);
    let quotient = log / a;
    let whole = quotient >> 10u;
    if whole > 31u {
        return 0u;
    }
    let fraction = ((quotient & 1023u) << 10u) | (((log % a) << 10u) / a);
    return (~one_minus_exponential(fraction << 12u)) >> whole;
}

// a / b for a <= b, less than 1.
fn quotient_of(a: u32, b: u32) -> u32 {
    var rest = a >> 1u;
    let divisor = b >> 1u;
    var quotient = 0u;
    for (var i = 0u; i < 32u; i++) {
        rest <<= 1u;
        quotient <<= 1u;
        if rest >= divisor {
            rest -= divisor;
            quotient |= 1u;
        }
    }
    return quotient;
}

// The root of a word, rounded down.
fn root_of_word(q: u32) -> u32 {
    // The root of a float may be off by one.
    var root = min(u32(sqrt(f32(q))), 65535u);
    if root * root > q {
        root -= 1u;
    }
    if root < 65535u && (root + 1u) * (root + 1u) <= q {
        root += 1u;
    }
    return root;
}

// A draw from Beta(a, a) from two random words, in units of 2^-24, never 0 or 1.
fn symmetric_beta(a: u32, uniform_word: u32, angle: u32) -> u32 {
    let p = root_of_uniform(uniform_word, a);
    let small = sine_square(angle << 2u);
    let c = select(small, ~small, ((angle >> 30u) & 1u) == 1u);
    let root = root_of_word(quotient_of(c - high(p, c), c + high(p, ~c)));
    return select(65536u - root, 65536u + root, angle >= 0x80000000u) << 7u;
}
