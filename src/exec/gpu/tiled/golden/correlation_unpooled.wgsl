alias Cell = vec4<f32>;
alias Words = vec4<u32>;
alias Bools = vec4<bool>;
const LANES = Words(0u, 1u, 2u, 3u);
@group(1) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
@group(1) @binding(2) var<storage, read> w: array<vec4<f32>>;
fn load_w(i: u32) -> vec4<f32> { return w[i]; }
@group(1) @binding(3) var<storage, read> taken: array<vec4<u32>>;
fn load_taken(i: u32) -> vec4<u32> { return taken[i]; }
@group(1) @binding(4) var<storage, read> made: array<vec4<f32>>;
fn load_made(i: u32) -> vec4<f32> { return made[i]; }
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
let u0 = y0 % 2u * 2u + x0 % 2u;
let a0 = (((n0 + 0u) * 2u + y0 / 2u) * 2u + x0 / 2u) * 1u;
let y1 = iy + 0u;
let x1 = ix + 1u;
let u1 = y1 % 2u * 2u + x1 % 2u;
let a1 = (((n0 + 0u) * 2u + y1 / 2u) * 2u + x1 / 2u) * 1u;
let y2 = iy + 1u;
let x2 = ix + 0u;
let u2 = y2 % 2u * 2u + x2 % 2u;
let a2 = (((n0 + 0u) * 2u + y2 / 2u) * 2u + x2 / 2u) * 1u;
let y3 = iy + 1u;
let x3 = ix + 1u;
let u3 = y3 % 2u * 2u + x3 % 2u;
let a3 = (((n0 + 0u) * 2u + y3 / 2u) * 2u + x3 / 2u) * 1u;
var c0_0 = Cell(0.0);
{
let turn = 0u;
let v0_0 = select(Cell(0.0), load_x(a0 + turn * 1u + 0u) * derivative(load_made(a0 + turn * 1u + 0u)), load_taken(a0 + turn * 1u + 0u) == Words(u0));
let v1_0 = select(Cell(0.0), load_x(a1 + turn * 1u + 0u) * derivative(load_made(a1 + turn * 1u + 0u)), load_taken(a1 + turn * 1u + 0u) == Words(u1));
let v2_0 = select(Cell(0.0), load_x(a2 + turn * 1u + 0u) * derivative(load_made(a2 + turn * 1u + 0u)), load_taken(a2 + turn * 1u + 0u) == Words(u2));
let v3_0 = select(Cell(0.0), load_x(a3 + turn * 1u + 0u) * derivative(load_made(a3 + turn * 1u + 0u)), load_taken(a3 + turn * 1u + 0u) == Words(u3));
let t0_0_0 = load_w((12u + (cell0 + 0u) * 4u + 0u) * 1u + turn);
let t0_0_1 = load_w((12u + (cell0 + 0u) * 4u + 1u) * 1u + turn);
let t0_0_2 = load_w((12u + (cell0 + 0u) * 4u + 2u) * 1u + turn);
let t0_0_3 = load_w((12u + (cell0 + 0u) * 4u + 3u) * 1u + turn);
let t1_0_0 = load_w((8u + (cell0 + 0u) * 4u + 0u) * 1u + turn);
let t1_0_1 = load_w((8u + (cell0 + 0u) * 4u + 1u) * 1u + turn);
let t1_0_2 = load_w((8u + (cell0 + 0u) * 4u + 2u) * 1u + turn);
let t1_0_3 = load_w((8u + (cell0 + 0u) * 4u + 3u) * 1u + turn);
let t2_0_0 = load_w((4u + (cell0 + 0u) * 4u + 0u) * 1u + turn);
let t2_0_1 = load_w((4u + (cell0 + 0u) * 4u + 1u) * 1u + turn);
let t2_0_2 = load_w((4u + (cell0 + 0u) * 4u + 2u) * 1u + turn);
let t2_0_3 = load_w((4u + (cell0 + 0u) * 4u + 3u) * 1u + turn);
let t3_0_0 = load_w((0u + (cell0 + 0u) * 4u + 0u) * 1u + turn);
let t3_0_1 = load_w((0u + (cell0 + 0u) * 4u + 1u) * 1u + turn);
let t3_0_2 = load_w((0u + (cell0 + 0u) * 4u + 2u) * 1u + turn);
let t3_0_3 = load_w((0u + (cell0 + 0u) * 4u + 3u) * 1u + turn);
{
let w0_0 = Cell(t0_0_0[0u], t0_0_1[0u], t0_0_2[0u], t0_0_3[0u]);
let w1_0 = Cell(t1_0_0[0u], t1_0_1[0u], t1_0_2[0u], t1_0_3[0u]);
let w2_0 = Cell(t2_0_0[0u], t2_0_1[0u], t2_0_2[0u], t2_0_3[0u]);
let w3_0 = Cell(t3_0_0[0u], t3_0_1[0u], t3_0_2[0u], t3_0_3[0u]);
let s0 = v0_0[0];
let s1 = v1_0[0];
let s2 = v2_0[0];
let s3 = v3_0[0];
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
}
{
let w0_0 = Cell(t0_0_0[1u], t0_0_1[1u], t0_0_2[1u], t0_0_3[1u]);
let w1_0 = Cell(t1_0_0[1u], t1_0_1[1u], t1_0_2[1u], t1_0_3[1u]);
let w2_0 = Cell(t2_0_0[1u], t2_0_1[1u], t2_0_2[1u], t2_0_3[1u]);
let w3_0 = Cell(t3_0_0[1u], t3_0_1[1u], t3_0_2[1u], t3_0_3[1u]);
let s0 = v0_0[1];
let s1 = v1_0[1];
let s2 = v2_0[1];
let s3 = v3_0[1];
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
}
{
let w0_0 = Cell(t0_0_0[2u], t0_0_1[2u], t0_0_2[2u], t0_0_3[2u]);
let w1_0 = Cell(t1_0_0[2u], t1_0_1[2u], t1_0_2[2u], t1_0_3[2u]);
let w2_0 = Cell(t2_0_0[2u], t2_0_1[2u], t2_0_2[2u], t2_0_3[2u]);
let w3_0 = Cell(t3_0_0[2u], t3_0_1[2u], t3_0_2[2u], t3_0_3[2u]);
let s0 = v0_0[2];
let s1 = v1_0[2];
let s2 = v2_0[2];
let s3 = v3_0[2];
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
}
{
let w0_0 = Cell(t0_0_0[3u], t0_0_1[3u], t0_0_2[3u], t0_0_3[3u]);
let w1_0 = Cell(t1_0_0[3u], t1_0_1[3u], t1_0_2[3u], t1_0_3[3u]);
let w2_0 = Cell(t2_0_0[3u], t2_0_1[3u], t2_0_2[3u], t2_0_3[3u]);
let w3_0 = Cell(t3_0_0[3u], t3_0_1[3u], t3_0_2[3u], t3_0_3[3u]);
let s0 = v0_0[3];
let s1 = v1_0[3];
let s2 = v2_0[3];
let s3 = v3_0[3];
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
}
}
{
{ let at = (((n0 + 0u) * 3u + oy + 0u) * 3u + ox + 0u) * 1u + cell0 + 0u;
y[at] = c0_0; }
}
}
