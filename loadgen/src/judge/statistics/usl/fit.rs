//! The coefficients of the Universal Scalability Law that fit points best, by Levenberg and Marquardt's least squares
//! (Nocedal and Wright, Numerical Optimization, 2nd ed., section 10.3).

/// alpha, beta and gamma.
pub(super) type Coefficients = [f64; 3];

/// Where they stand.
pub(super) const ALPHA: usize = 0;
pub(super) const BETA: usize = 1;
pub(super) const GAMMA: usize = 2;

/// Sums of products of derivatives, for each pair of coefficients.
pub(super) type Matrix = [[f64; 3]; 3];

/// Throughput at a load.
pub(super) fn at([alpha, beta, gamma]: &Coefficients, load: f64) -> f64 {
    gamma * load / denominator(*alpha, *beta, load)
}

/// The coefficients that fit these loads and throughputs (of about 1) best, and the sum of their squared residuals.
///
/// That alpha and beta are not below 0 is a constraint: the best fit has both free, or one or both of them at 0.
pub(super) fn best(points: &[(f64, f64)]) -> (Coefficients, f64) {
    let free_sets = [[true, true, true], [true, false, true], [false, true, true], [false, false, true]];
    let fits = free_sets.into_iter().map(|free| {
        let coefficients = minimise(points, start(points, free), free);
        (coefficients, squares(points, &coefficients))
    });
    let allowed = fits.filter(|([alpha, beta, _], _)| *alpha >= 0.0 && *beta >= 0.0);
    allowed.min_by(|(_, a), (_, b)| a.total_cmp(b)).expect("a straight line is always allowed")
}

/// The inverse of the sums of products of all derivatives; `None` where the points do not tell the coefficients apart.
pub(super) fn covariance(points: &[(f64, f64)], coefficients: &Coefficients) -> Option<Matrix> {
    let (matrix, _) = normal(points, coefficients);
    let columns = [0, 1, 2].map(|i| solve(&matrix, &std::array::from_fn(|j| f64::from(i == j)), [true; 3], 0.0));
    let [Some(first), Some(second), Some(third)] = columns else { return None };
    Some([first, second, third])
}

/// Where the search begins: the best fit of N / X, which is linear in 1 / gamma, alpha / gamma and beta / gamma, with
/// every point weighed by its throughput.
fn start(points: &[(f64, f64)], free: [bool; 3]) -> Coefficients {
    let (mut matrix, mut right) = (Matrix::default(), [0.0; 3]);
    for &(load, throughput) in points {
        let basis = [load - 1.0, load * (load - 1.0), 1.0].map(|of| of * throughput / load);
        add_products(&mut matrix, &basis);
        (0..3).for_each(|i| right[i] += basis[i]);
    }
    match solve(&matrix, &right, free, 0.0) {
        Some([alpha, beta, one]) if one > 0.0 => [(alpha / one).max(0.0), (beta / one).max(0.0), 1.0 / one],
        _ => [0.0, 0.0, points.iter().map(|(load, throughput)| throughput / load).fold(0.0, f64::max)],
    }
}

/// Moves the free coefficients to where the sum of squares is least.
fn minimise(points: &[(f64, f64)], start: Coefficients, free: [bool; 3]) -> Coefficients {
    let (mut found, mut least, mut damping) = (start, squares(points, &start), 1e-3);
    for _ in 0..MOST_STEPS {
        let (matrix, right) = normal(points, &found);
        let Some(step) = solve(&matrix, &right, free, damping) else { break };
        let next: Coefficients = std::array::from_fn(|i| found[i] + step[i]);
        let reached = squares(points, &next);
        if reached < least {
            (found, least, damping) = (next, reached, damping / 10.0);
        } else if damping < MOST_DAMPING {
            damping *= 10.0;
        } else {
            break;
        }
    }
    found
}

fn squares(points: &[(f64, f64)], coefficients: &Coefficients) -> f64 {
    let [alpha, beta, _] = *coefficients;
    if points.iter().any(|&(load, _)| denominator(alpha, beta, load) <= 0.0) {
        return f64::INFINITY;
    }
    points.iter().map(|&(load, throughput)| (throughput - at(coefficients, load)).powi(2)).sum()
}

/// Sums of products of the derivatives, with each other and with the residuals.
fn normal(points: &[(f64, f64)], coefficients: &Coefficients) -> (Matrix, [f64; 3]) {
    let [alpha, beta, gamma] = *coefficients;
    let (mut matrix, mut right) = (Matrix::default(), [0.0; 3]);
    for &(load, throughput) in points {
        let divisor = denominator(alpha, beta, load);
        let by_alpha = -gamma * load * (load - 1.0) / divisor.powi(2);
        let derivatives = [by_alpha, by_alpha * load, load / divisor];
        add_products(&mut matrix, &derivatives);
        let residual = throughput - at(coefficients, load);
        (0..3).for_each(|i| right[i] += derivatives[i] * residual);
    }
    (matrix, right)
}

fn denominator(alpha: f64, beta: f64, load: f64) -> f64 {
    1.0 + alpha * (load - 1.0) + beta * load * (load - 1.0)
}

fn add_products(matrix: &mut Matrix, of: &[f64; 3]) {
    for (row, a) in matrix.iter_mut().zip(of) {
        row.iter_mut().zip(of).for_each(|(sum, b)| *sum += a * b);
    }
}

/// Solves `matrix` x = `right` for the free unknowns, the others being 0, with `damping` times each element of the diagonal
/// added to it; `None` where they are not determined. By Cholesky's decomposition, of the matrix scaled to a diagonal of 1.
fn solve(matrix: &Matrix, right: &[f64; 3], free: [bool; 3], damping: f64) -> Option<[f64; 3]> {
    let scale: [f64; 3] = std::array::from_fn(|i| if free[i] { matrix[i][i].sqrt() } else { 1.0 });
    if scale.iter().any(|scale| !scale.is_finite() || *scale <= 0.0) {
        return None;
    }
    let mut lower = Matrix::default();
    for i in 0..3 {
        for j in 0..=i {
            let scaled = match (i == j, free[i] && free[j]) {
                (true, _) => 1.0 + damping,
                (false, true) => matrix[i][j] / (scale[i] * scale[j]),
                (false, false) => 0.0,
            };
            let rest = scaled - (0..j).map(|k| lower[i][k] * lower[j][k]).sum::<f64>();
            lower[i][j] = if i > j {
                rest / lower[j][j]
            } else if rest > SINGULAR {
                rest.sqrt()
            } else {
                return None;
            };
        }
    }
    let mut x = [0.0; 3];
    for i in 0..3 {
        let scaled = if free[i] { right[i] / scale[i] } else { 0.0 };
        x[i] = (scaled - (0..i).map(|k| lower[i][k] * x[k]).sum::<f64>()) / lower[i][i];
    }
    for i in (0..3).rev() {
        x[i] = (x[i] - (i + 1..3).map(|k| lower[k][i] * x[k]).sum::<f64>()) / lower[i][i];
    }
    Some(std::array::from_fn(|i| x[i] / scale[i]))
}

/// Steps of a search: it takes some 10, and 20 more until damping finds that nothing is left to gain.
const MOST_STEPS: usize = 200;

/// Damping at which a step is lost in rounding.
const MOST_DAMPING: f64 = 1e16;

/// What is left of a diagonal of 1 where the unknowns are not told apart: the rounding of a float.
const SINGULAR: f64 = 1e-14;
