alias Cell = f32;
alias Words = u32;
alias Bools = bool;
const LANES = 0u;
@group(1) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
@group(1) @binding(2) var<storage, read> w: array<vec4<f32>>;
fn load_w(i: u32) -> vec4<f32> { return w[i]; }
@group(1) @binding(3) var<storage, read> through: array<f32>;
fn load_through(i: u32) -> f32 { return through[i]; }
@group(1) @binding(0) var<storage, read_write> y: array<Cell>;
@compute @workgroup_size(WORKGROUP)
fn conv2d(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let i = flat_index(workgroup, local);
let task = i / 1u;
if task >= 48u { return; }
let cell0 = (i % 1u) * 1u;
let n0 = task / 12u * 1u;
let place = task % 12u;
let oy = place / 3u * 1u;
let ox = place % 3u * 1u;
let iy = oy * 1u + 0u - 1u;
let ix = ox * 1u + 0u - 0u;
let y0 = iy + 0u;
let x0 = ix + 0u;
let k0 = (y0 < 4u);
let a0 = (((n0 + 0u) * 4u + min(y0, 3u)) * 4u + x0) * 1u;
let y1 = iy + 0u;
let x1 = ix + 1u;
let k1 = (y1 < 4u);
let a1 = (((n0 + 0u) * 4u + min(y1, 3u)) * 4u + x1) * 1u;
let y2 = iy + 1u;
let x2 = ix + 0u;
let k2 = (y2 < 4u);
let a2 = (((n0 + 0u) * 4u + min(y2, 3u)) * 4u + x2) * 1u;
let y3 = iy + 1u;
let x3 = ix + 1u;
let k3 = (y3 < 4u);
let a3 = (((n0 + 0u) * 4u + min(y3, 3u)) * 4u + x3) * 1u;
var c0_0 = Cell(0.0);
{
let turn = 0u;
let v0_0 = select(vec4<f32>(), load_x(a0 + turn * 1u + 0u), k0);
let v1_0 = select(vec4<f32>(), load_x(a1 + turn * 1u + 0u), k1);
let v2_0 = select(vec4<f32>(), load_x(a2 + turn * 1u + 0u), k2);
let v3_0 = select(vec4<f32>(), load_x(a3 + turn * 1u + 0u), k3);
let t0_0_0 = load_w((3u + (cell0 + 0u) * 1u + 0u) * 1u + turn);
let t1_0_0 = load_w((2u + (cell0 + 0u) * 1u + 0u) * 1u + turn);
let t2_0_0 = load_w((1u + (cell0 + 0u) * 1u + 0u) * 1u + turn);
let t3_0_0 = load_w((0u + (cell0 + 0u) * 1u + 0u) * 1u + turn);
{
let w0_0 = Cell(t0_0_0[0u]);
let w1_0 = Cell(t1_0_0[0u]);
let w2_0 = Cell(t2_0_0[0u]);
let w3_0 = Cell(t3_0_0[0u]);
let s0 = v0_0[0];
let s1 = v1_0[0];
let s2 = v2_0[0];
let s3 = v3_0[0];
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
}
{
let w0_0 = Cell(t0_0_0[1u]);
let w1_0 = Cell(t1_0_0[1u]);
let w2_0 = Cell(t2_0_0[1u]);
let w3_0 = Cell(t3_0_0[1u]);
let s0 = v0_0[1];
let s1 = v1_0[1];
let s2 = v2_0[1];
let s3 = v3_0[1];
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
}
{
let w0_0 = Cell(t0_0_0[2u]);
let w1_0 = Cell(t1_0_0[2u]);
let w2_0 = Cell(t2_0_0[2u]);
let w3_0 = Cell(t3_0_0[2u]);
let s0 = v0_0[2];
let s1 = v1_0[2];
let s2 = v2_0[2];
let s3 = v3_0[2];
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
}
{
let w0_0 = Cell(t0_0_0[3u]);
let w1_0 = Cell(t1_0_0[3u]);
let w2_0 = Cell(t2_0_0[3u]);
let w3_0 = Cell(t3_0_0[3u]);
let s0 = v0_0[3];
let s1 = v1_0[3];
let s2 = v2_0[3];
let s3 = v3_0[3];
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
}
}
{
{ let at = (((n0 + 0u) * 4u + oy + 0u) * 3u + ox + 0u) * 1u + cell0 + 0u;
y[at] = c0_0 * derivative_relu(load_through(at)); }
}
}
