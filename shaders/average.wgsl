// Part of the optimizers if a moving average of the weights is kept:
//
//   average = keep * average + (1 - keep) * w
//
// and then w = average in the steps in which the average replaces the weights. The host declares
// the array average, load_average_before(i), and the constant OVERWRITES, 1 if there are such steps.

fn move_average(i: u32, w: Cell) {
    let moved = step.keep * load_average_before(i) + (1.0 - step.keep) * w;
    average[i] = moved;
    if OVERWRITES == 1u && step.overwrites == 1u {
        params[i] = moved;
    }
}
