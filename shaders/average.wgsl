// Part of the optimizers if a moving average of the weights is kept:
//
//   average = keep * average + (1 - keep) * w
//
// The host declares the array average and load_average_before(i).

fn move_average(i: u32, w: Cell) {
    average[i] = step.keep * load_average_before(i) + (1.0 - step.keep) * w;
}
