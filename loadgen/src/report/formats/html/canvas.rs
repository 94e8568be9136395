//! One chart as SVG, in the two shapes that a page needs: wide for a desk, narrow for a phone, where the wide one's
//! letters would be too small to read. Colors are roles, which the page's style sheet turns into those of the theme.

use std::ops::Range;

use plotters::chart::{ChartBuilder, ChartContext, LabelAreaPosition};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::drawing::{DrawingArea, IntoDrawingArea as _};
use plotters::element::{Circle, PathElement, Polygon};
use plotters::prelude::{Cartesian2d, DashedLineSeries};
use plotters::style::{Color as _, IntoFont as _, RGBColor, ShapeStyle, TextStyle};
use plotters_svg::SVGBackend;

/// What a color is for; the style sheet knows each by its value here, which is also what shows without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The letters of an axis.
    Label,
    /// Lines behind the data.
    Grid,
    /// What the chart is about.
    First,
    /// What it is held against.
    Second,
    /// A third.
    Third,
}

/// An axis: from, to, where it has a line and a label, and what the label says.
pub(super) struct Axis {
    pub from: f64,
    pub to: f64,
    pub ticks: Vec<f64>,
    pub label: fn(f64) -> String,
}

/// A chart being drawn.
pub(super) struct Canvas<'a, 'b> {
    chart: ChartContext<'a, SVGBackend<'b>, Plane>,
}

/// How much room a chart has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// 920 by 300 pixels.
    Wide,
    /// 360 by 260 pixels.
    Narrow,
}

type Plane = Cartesian2d<Axis, Axis>;

/// Draws a chart; `axes` and `draw` are told how much room there is.
pub(super) fn svg(shape: Shape, axes: impl Fn(Shape) -> [Axis; 2], draw: impl Fn(&mut Canvas<'_, '_>)) -> String {
    let mut svg = String::new();
    let (width, height) = match shape {
        Shape::Wide => (920, 300),
        Shape::Narrow => (360, 260),
    };
    {
        let root: DrawingArea<SVGBackend<'_>, Shift> =
            SVGBackend::with_string(&mut svg, (width * SCALE as u32, height * SCALE as u32)).into_drawing_area();
        let [x, y] = axes(shape);
        let (font, color) = (("sans-serif", 13 * SCALE).into_font(), Role::Label.color());
        let text = TextStyle::from(font).color(&color);
        let mut chart = ChartBuilder::on(&root)
            .set_label_area_size(LabelAreaPosition::Left, 58 * SCALE)
            .set_label_area_size(LabelAreaPosition::Bottom, 26 * SCALE)
            .margin_top(8 * SCALE)
            // Half of the last label.
            .margin_right(24 * SCALE)
            .build_cartesian_2d(x, y)
            .expect(NO_ERROR);
        chart
            .configure_mesh()
            .bold_line_style(Role::Grid.color().stroke_width(SCALE as u32))
            .light_line_style(Role::Grid.color().mix(0.0))
            .axis_style(Role::Grid.color().stroke_width(SCALE as u32))
            .set_all_tick_mark_size(4 * SCALE)
            .label_style(text)
            .draw()
            .expect(NO_ERROR);
        draw(&mut Canvas { chart });
        root.present().expect(NO_ERROR);
    }
    // The page gives the size; the picture keeps its proportions.
    let (head, body) = svg.split_once("viewBox").expect("the backend writes one");
    debug_assert!(head.starts_with("<svg"));
    format!("<svg viewBox{body}")
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let share = (value - self.from) / (self.to - self.from);
        // A cast of what is no number, or far off, ends at the edge of i32, which the picture's edge cuts off.
        first.saturating_add((share * f64::from(last - first)).round() as i32)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(_: &f64) -> String {
        unreachable!("each axis has its own format")
    }

    fn format_ext(&self, value: &f64) -> String {
        (self.label)(*value)
    }
}

impl Canvas<'_, '_> {
    /// A line through the points.
    pub(super) fn line(&mut self, points: &[(f64, f64)], role: Role) {
        let style = role.color().stroke_width(2 * SCALE as u32);
        self.chart.draw_series([PathElement::new(points.to_vec(), style)]).expect(NO_ERROR);
    }

    /// A dashed line through the points.
    pub(super) fn dashed(&mut self, points: &[(f64, f64)], role: Role) {
        let style: ShapeStyle = role.color().stroke_width(2 * SCALE as u32);
        let series = DashedLineSeries::new(points.iter().copied(), 7 * SCALE, 5 * SCALE, style);
        self.chart.draw_series(series).expect(NO_ERROR);
    }

    /// The area between two lines, the second given in the same direction.
    pub(super) fn band(&mut self, upper: &[(f64, f64)], lower: &[(f64, f64)], role: Role, opacity: f64) {
        let outline: Vec<(f64, f64)> = upper.iter().chain(lower.iter().rev()).copied().collect();
        self.chart.draw_series([Polygon::new(outline, role.color().mix(opacity).filled())]).expect(NO_ERROR);
    }

    /// A dot at each point.
    pub(super) fn dots(&mut self, points: &[(f64, f64)], role: Role) {
        // Where they crowd, how densely shows.
        let (radius, opacity) = if points.len() > CROWD { (3, 0.5) } else { (4, 1.0) };
        let dot = |&point| Circle::new(point, radius * SCALE, role.color().mix(opacity).filled());
        self.chart.draw_series(points.iter().map(dot)).expect(NO_ERROR);
    }
}

impl Role {
    fn color(self) -> RGBColor {
        match self {
            Self::Label => RGBColor(0x5B, 0x64, 0x70),
            Self::Grid => RGBColor(0xE1, 0xE5, 0xEA),
            Self::First => RGBColor(0x0B, 0x72, 0x85),
            Self::Second => RGBColor(0xC2, 0x55, 0x0A),
            Self::Third => RGBColor(0x6B, 0x3F, 0xB5),
        }
    }
}

/// Dots beyond which they are drawn small and pale.
const CROWD: usize = 40;

/// Steps of a pixel: the library draws at whole numbers only.
const SCALE: i32 = 4;

const NO_ERROR: &str = "writing into a String does not fail";
