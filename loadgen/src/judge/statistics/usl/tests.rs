//! The law against fits that others have published, and at its constraints.

use super::*;

fn points(loads: impl IntoIterator<Item = f64>, throughputs: &[f64]) -> Vec<Point> {
    let points: Vec<Point> =
        loads.into_iter().zip(throughputs).map(|(load, &throughput)| Point { load, throughput }).collect();
    assert_eq!(points.len(), throughputs.len());
    points
}

fn fit(points: &[Point]) -> Usl {
    Usl::fit(points, 0.95).unwrap()
}

fn assert_near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value}, expected {expected} +- {tolerance}");
}

/// SPEC SDM91 on a SPARCcenter 2000, the data set `specsdm91` of R's package `usl`.
fn specsdm91() -> Vec<Point> {
    points([1.0, 18.0, 36.0, 72.0, 108.0, 144.0, 216.0], &[64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2])
}

#[test]
fn the_example_that_r_s_usl_is_tested_with() {
    let usl = fit(&points([1.0, 2.0, 4.0, 6.0, 8.0, 10.0], &[1.0, 1.8868, 3.0769, 3.5294, 3.5398, 3.3557]));
    assert_near(usl.alpha.estimate, 0.02, 1e-4);
    assert_near(usl.beta.estimate, 0.02, 1e-4);
    assert_near(usl.gamma.estimate, 1.0, 1e-4);
}

#[test]
fn specsdm91_as_r_fits_it() {
    // README of https://github.com/smoeding/usl: estimates, standard errors, residuals and bounds.
    let usl = fit(&specsdm91());
    assert_near(usl.alpha.estimate, 0.0277285, 1e-7);
    assert_near(usl.beta.estimate, 0.0001044, 5e-8);
    assert_near(usl.gamma.estimate, 89.9952330, 1e-4);
    assert_near(usl.residual_error.unwrap(), 82.8, 0.05);
    // Student's t at 97.5% with 4 degrees of freedom.
    let half_width = 2.776_445;
    for (coefficient, error, tolerance) in
        [(usl.alpha, 0.009_121_7, 1e-6), (usl.beta, 0.000_019_9, 5e-7), (usl.gamma, 14.213_489_4, 1e-3)]
    {
        assert_near(coefficient.high.unwrap(), coefficient.estimate + half_width * error, tolerance);
        assert_near(coefficient.low.unwrap(), coefficient.estimate - half_width * error, tolerance);
    }
    let (least, most) = usl.residuals.iter().fold((0.0f64, 0.0f64), |(a, b), &r| (a.min(r), b.max(r)));
    assert_near(least, -81.7, 0.05);
    assert_near(most, 111.1, 0.05);
    let peak = usl.peak().unwrap();
    assert_near(peak.load, 96.52, 0.005);
    assert_near(peak.throughput, 1884.0, 0.5);
    assert_eq!(peak.support, Support::Measured);
    assert_near(usl.limit().unwrap(), 3246.0, 0.5);
}

#[test]
fn cisco_s_points_as_usl4j_fits_them() {
    // https://github.com/codahale/usl4j, ModelTest.
    let throughputs = [
        955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08, 7219.8, 7867.61, 8278.71, 8646.7,
        9047.84, 9426.55, 9645.37, 9897.24, 10097.6, 10240.5, 10532.39, 10798.52, 11151.43, 11518.63, 11806.0,
        12089.37, 12075.41, 12177.29, 12211.41, 12158.93, 12155.27, 12118.04, 12140.4, 12074.39,
    ];
    let usl = fit(&points((1..=32).map(f64::from), &throughputs));
    assert_near(usl.alpha.estimate, 0.026_715_91, 1e-7);
    assert_near(usl.beta.estimate, 7.690_945e-4, 1e-9);
    assert_near(usl.gamma.estimate, 995.6486, 1e-3);
}

#[test]
fn what_speeds_up_more_than_in_proportion_has_no_negative_contention() {
    let usl = fit(&points([1.0, 2.0, 4.0, 8.0], &[1.0, 2.1, 4.4, 9.2]));
    assert_eq!((usl.alpha.estimate, usl.beta.estimate), (0.0, 0.0));
    // The straight line of least squares: the sum of X N over that of N^2.
    assert_near(usl.gamma.estimate, 96.4 / 85.0, 1e-9);
    assert_eq!((usl.alpha.low, usl.peak(), usl.limit()), (Some(0.0), None, None));
    assert!(usl.alpha.high.unwrap() > 0.0);
}

#[test]
fn contention_alone_comes_up_to_its_limit_and_coherency_alone_has_a_peak() {
    let throughput =
        |alpha: f64, beta: f64, load: f64| 500.0 * load / (1.0 + alpha * (load - 1.0) + beta * load * (load - 1.0));
    let loads = [1.0, 2.0, 4.0, 8.0, 16.0];
    let contention = fit(&points(loads, &loads.map(|load| throughput(0.1, 0.0, load))));
    assert_near(contention.alpha.estimate, 0.1, 1e-6);
    assert_near(contention.limit().unwrap(), 5_000.0, 0.1);
    // A law of one coefficient is found to have the other at 0, or as good as.
    assert!(contention.peak().is_none_or(|peak| peak.load > 1e3));
    let coherency = fit(&points(loads, &loads.map(|load| throughput(0.0, 0.01, load))));
    assert_near(coherency.beta.estimate, 0.01, 1e-6);
    assert_near(coherency.peak().unwrap().load, 10.0, 0.01);
    // What does not scale at all is at its best with a load of 1.
    let none = fit(&points(loads, &[100.0, 95.0, 93.0, 91.0, 90.0]));
    assert_eq!(none.peak().unwrap().load, 1.0);
}

#[test]
fn the_unit_of_throughput_is_of_no_account() {
    let usl = fit(&specsdm91());
    for unit in [1e-9, 1e9] {
        let scaled: Vec<Point> = specsdm91()
            .into_iter()
            .map(|Point { load, throughput }| Point { load, throughput: throughput * unit })
            .collect();
        let scaled = fit(&scaled);
        assert_near(scaled.alpha.estimate, usl.alpha.estimate, 1e-9);
        assert_near(scaled.beta.high.unwrap(), usl.beta.high.unwrap(), 1e-9);
        assert_near(scaled.gamma.low.unwrap() / unit, usl.gamma.low.unwrap(), 1e-4);
    }
}

#[test]
fn past_twice_what_was_measured_it_warns() {
    let usl = fit(&specsdm91());
    assert_eq!(usl.at(0.5).support, Support::Measured);
    assert_eq!(usl.at(432.0).support, Support::Measured);
    assert_eq!(usl.at(648.0).support, Support::Extrapolated { times: 3.0 });
    assert_eq!(usl.at(0.25).support, Support::Extrapolated { times: 0.25 });
    // Fitted values as R gives them, to the digits it prints.
    for (load, throughput) in [(18.0, 1078.0), (36.0, 1541.0), (108.0, 1879.0), (216.0, 1646.0)] {
        assert_near(usl.at(load).throughput, throughput, 0.5);
    }
}

#[test]
fn three_points_are_met_and_have_no_intervals_and_fewer_are_refused() {
    let usl = fit(&points([1.0, 4.0, 16.0], &[100.0, 300.0, 500.0]));
    assert!(usl.residuals.iter().all(|residual| residual.abs() < 1e-6), "{:?}", usl.residuals);
    assert_eq!((usl.gamma.low, usl.gamma.high, usl.residual_error), (None, None, None));
    let twice = points([1.0, 1.0, 4.0], &[100.0, 101.0, 300.0]);
    assert_eq!(Usl::fit(&twice, 0.95), Err(Unfit::TooFew(2)));
    let nothing = points([1.0, 4.0, 16.0], &[100.0, 0.0, 500.0]);
    assert_eq!(Usl::fit(&nothing, 0.95), Err(Unfit::OutOfRange(nothing[1])));
}
