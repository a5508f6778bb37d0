alias Cell = vec4<f32>;
alias Words = vec4<u32>;
alias Bools = vec4<bool>;
const LANES = Words(0u, 1u, 2u, 3u);
@group(1) @binding(1) var<storage, read> x: array<f32>;
fn load_x(i: u32) -> f32 { return x[i]; }
@group(1) @binding(2) var<storage, read> w: array<vec4<f32>>;
fn load_w(i: u32) -> vec4<f32> { return w[i]; }
@group(1) @binding(3) var<storage, read> bias: array<vec4<f32>>;
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
@group(1) @binding(0) var<storage, read_write> y: array<Cell>;
@compute @workgroup_size(WORKGROUP)
fn conv2d(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let i = flat_index(workgroup, local);
let task = i / 1u;
if task >= 36u { return; }
let cell0 = (i % 1u) * 1u;
let n0 = task / 9u * 1u;
let place = task % 9u;
let oy = place / 3u * 1u;
let ox = place % 3u * 1u;
let iy = oy * 1u + 0u - 0u;
let ix = ox * 1u + 0u - 0u;
let y0 = iy + 0u;
let x0 = ix + 0u;
let a0 = (((n0 + 0u) * 4u + y0) * 4u + x0) * 3u;
let y1 = iy + 0u;
let x1 = ix + 1u;
let a1 = (((n0 + 0u) * 4u + y1) * 4u + x1) * 3u;
let y2 = iy + 1u;
let x2 = ix + 0u;
let a2 = (((n0 + 0u) * 4u + y2) * 4u + x2) * 3u;
let y3 = iy + 1u;
let x3 = ix + 1u;
let a3 = (((n0 + 0u) * 4u + y3) * 4u + x3) * 3u;
var c0_0 = Cell(0.0);
{
let turn = 0u;
let v0_0 = load_x(a0 + turn * 3u + 0u);
let v0_1 = load_x(a0 + turn * 3u + 1u);
let v0_2 = load_x(a0 + turn * 3u + 2u);
let v1_0 = load_x(a1 + turn * 3u + 0u);
let v1_1 = load_x(a1 + turn * 3u + 1u);
let v1_2 = load_x(a1 + turn * 3u + 2u);
let v2_0 = load_x(a2 + turn * 3u + 0u);
let v2_1 = load_x(a2 + turn * 3u + 1u);
let v2_2 = load_x(a2 + turn * 3u + 2u);
let v3_0 = load_x(a3 + turn * 3u + 0u);
let v3_1 = load_x(a3 + turn * 3u + 1u);
let v3_2 = load_x(a3 + turn * 3u + 2u);
{
let w0_0 = load_w((0u + turn * 3u + 0u) * 1u + cell0 + 0u);
let w1_0 = load_w((3u + turn * 3u + 0u) * 1u + cell0 + 0u);
let w2_0 = load_w((6u + turn * 3u + 0u) * 1u + cell0 + 0u);
let w3_0 = load_w((9u + turn * 3u + 0u) * 1u + cell0 + 0u);
let s0 = v0_0;
let s1 = v1_0;
let s2 = v2_0;
let s3 = v3_0;
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
}
{
let w0_0 = load_w((0u + turn * 3u + 1u) * 1u + cell0 + 0u);
let w1_0 = load_w((3u + turn * 3u + 1u) * 1u + cell0 + 0u);
let w2_0 = load_w((6u + turn * 3u + 1u) * 1u + cell0 + 0u);
let w3_0 = load_w((9u + turn * 3u + 1u) * 1u + cell0 + 0u);
let s0 = v0_1;
let s1 = v1_1;
let s2 = v2_1;
let s3 = v3_1;
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
}
{
let w0_0 = load_w((0u + turn * 3u + 2u) * 1u + cell0 + 0u);
let w1_0 = load_w((3u + turn * 3u + 2u) * 1u + cell0 + 0u);
let w2_0 = load_w((6u + turn * 3u + 2u) * 1u + cell0 + 0u);
let w3_0 = load_w((9u + turn * 3u + 2u) * 1u + cell0 + 0u);
let s0 = v0_2;
let s1 = v1_2;
let s2 = v2_2;
let s3 = v3_2;
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
}
}
let bias0 = load_bias(cell0 + 0u);
{
{ let at = (((n0 + 0u) * 3u + oy + 0u) * 3u + ox + 0u) * 1u + cell0 + 0u;
y[at] = activate(c0_0 + bias0); }
}
}
