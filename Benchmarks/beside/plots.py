"""Plots, written as SVG."""
import math
from xml.sax.saxutils import escape

from .closed import label, shown

REDIS, TERN, INK, FAINT = "#9aa0a6", "#1668b8", "#202124", "#dadce0"
NAMES = {"redis": "redis-server", "tern": "Tern"}


class Drawing:
    """A white sheet of so many pixels."""

    def __init__(self, width, height, title):
        self.width, self.height, self.title = width, height, title
        self.parts = [f'<rect width="{width}" height="{height}" fill="#ffffff"/>']
        self.text(width / 2, 22, title, size=15, anchor="middle", weight="bold")

    def text(self, x, y, text, size=12, anchor="start", weight="normal", turn=None):
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn is not None else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
                          f'fill="{INK}"{turned}>{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, colour=FAINT, width=1, dash=""):
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"{dashed}/>')

    def bar(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" fill="{colour}"/>')

    def dot(self, x, y, colour):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')

    def svg(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}" '
                f'font-family="Helvetica, Arial, sans-serif" role="img"><title>{escape(self.title)}</title>\n' + "\n".join(self.parts) + "\n</svg>\n")


def ticks(largest, count=5):
    """Round numbers from 0 to at least `largest`."""
    rough = largest / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough)
    return [step * n for n in range(math.ceil(largest / step) + 1)]


def short(number):
    """A number for an axis."""
    if number >= 1_000_000:
        return f"{number / 1_000_000:g} M"
    return f"{number / 1000:g} k" if number >= 1000 else f"{number:g}"


def bars(cells, figure, title, axis, better):
    """Two bars a cell; the ratio stands behind them."""
    cells = [cell for cell in shown(cells) if "median" in cell]
    left, right, top, row = 300, 100, 64, 42
    drawing = Drawing(900, top + row * len(cells) + 50, title)
    largest = max([cell["median"][name][figure] for cell in cells for name in NAMES] or [1])
    marks = ticks(largest)
    scale = (drawing.width - left - right) / marks[-1]
    bottom = top + row * len(cells)
    for mark in marks:
        x = left + mark * scale
        drawing.line(x, top - 4, x, bottom)
        drawing.text(x, bottom + 16, short(mark), anchor="middle", size=11)
    drawing.text(left + (drawing.width - left - right) / 2, bottom + 38, f"{axis} ({better})", anchor="middle")
    drawing.bar(left, 36, 12, 12, REDIS)
    drawing.text(left + 18, 46, NAMES["redis"])
    drawing.bar(left + 120, 36, 12, 12, TERN)
    drawing.text(left + 138, 46, NAMES["tern"])
    drawing.text(drawing.width - right + 10, 46, "Tern / redis", size=11)
    for index, cell in enumerate(cells):
        y = top + index * row
        drawing.text(left - 10, y + 22, label(cell), anchor="end")
        drawing.bar(left, y + 5, cell["median"]["redis"][figure] * scale, 13, REDIS)
        drawing.bar(left, y + 20, cell["median"]["tern"][figure] * scale, 13, TERN)
        loses = cell["ratio"][figure] > 1 if figure == "cpu_us" else cell["ratio"][figure] < 1
        drawing.text(drawing.width - right + 10, y + 23, f"×{cell['ratio'][figure]:.2f}" + (" loses" if loses else ""), size=11)
    drawing.line(left, top - 4, left, bottom, INK)
    return drawing.svg()


def latency(rows):
    """p50 and p99 by rate, on a logarithmic axis."""
    drawing = Drawing(900, 420, "Latency from the intended time, open loop")
    left, right, top, bottom = 80, 190, 44, 360
    figures = [("p50_ms", "p50", ""), ("p99_ms", "p99", "6 4"), ("p999_ms", "p99.9", "2 3")]
    values = [row["median"][name][figure] for row in rows for name in NAMES for figure, _, _ in figures]
    low, high = math.floor(math.log10(max(min(values), 1e-3))), math.ceil(math.log10(max(max(values), 1e-2)))
    high = max(high, low + 1)
    y = lambda value: bottom - (math.log10(max(value, 10 ** low)) - low) / (high - low) * (bottom - top)
    rates = [row["rate"] for row in rows]
    first, last = math.log(min(rates)), math.log(max(rates))
    x = lambda rate: left + 20 + ((math.log(rate) - first) / (last - first) if last > first else 0.5) * (drawing.width - left - right - 40)
    for power in range(low, high + 1):
        for digit in (1, 2, 5):
            value = digit * 10.0 ** power
            if value <= 10 ** high:
                drawing.line(left, y(value), drawing.width - right, y(value))
                drawing.text(left - 8, y(value) + 4, f"{value:g}", anchor="end", size=11)
    for rate in rates:
        drawing.line(x(rate), top, x(rate), bottom)
        drawing.text(x(rate), bottom + 18, short(rate), anchor="middle", size=11)
    drawing.text((left + drawing.width - right) / 2, bottom + 42, "intended requests/s (logarithmic)", anchor="middle")
    drawing.text(22, (top + bottom) / 2, "ms (logarithmic, lower is better)", anchor="middle", turn=-90)
    legend = top + 10
    for name, colour in (("redis", REDIS), ("tern", TERN)):
        for figure, text, dash in figures:
            points = [(x(row["rate"]), y(row["median"][name][figure])) for row in rows]
            for (x1, y1), (x2, y2) in zip(points, points[1:]):
                drawing.line(x1, y1, x2, y2, colour, 2, dash)
            for at in points:
                drawing.dot(*at, colour)
            drawing.line(drawing.width - right + 20, legend - 4, drawing.width - right + 50, legend - 4, colour, 2, dash)
            drawing.text(drawing.width - right + 58, legend, f"{NAMES[name]}, {text}")
            legend += 22
    return drawing.svg()


def timelines(scenarios, begin, step):
    """A strip a disturbance: p99 (thin) and the largest (thick) of each tenth of a second, on a logarithmic axis."""
    left, right, height, gap, top = 80, 150, 130, 46, 56
    drawing = Drawing(900, top + len(scenarios) * (height + gap) + 20, "Latency while the server is busy with itself")
    legend = [("redis", REDIS), ("tern", TERN)]
    for place, (name, colour) in enumerate(legend):
        for offset, (text, width) in enumerate((("largest", 2.5), ("p99", 1))):
            x = left + place * 300 + offset * 160
            drawing.line(x, 40, x + 24, 40, colour, width)
            drawing.text(x + 30, 44, f"{NAMES[name]}, {text}")
    low, high = 0.01, 10_000.0
    for place, (scenario, pair) in enumerate(scenarios.items()):
        from_y = top + place * (height + gap) + 20
        to_y = from_y + height
        y = lambda value: to_y - (math.log10(min(max(value, low), high) / low)) / math.log10(high / low) * height
        seconds = max([result["seconds"] for result in pair.values() if "seconds" in result] or [begin])
        x = lambda at: left + at / seconds * (drawing.width - left - right)
        power = low
        while power <= high * 1.01:
            drawing.line(left, y(power), drawing.width - right, y(power))
            drawing.text(left - 8, y(power) + 4, f"{power:g} ms", anchor="end", size=10)
            power *= 10
        for second in range(int(seconds) + 1):
            drawing.text(x(second), to_y + 14, f"{second} s", anchor="middle", size=10)
        drawing.line(x(begin), from_y, x(begin), to_y, INK, 1, "4 3")
        drawing.text(drawing.width - right + 10, from_y + 14, scenario, weight="bold")
        for name, colour in legend:
            result = pair.get(name, {})
            if "refused" in result:
                drawing.text(drawing.width - right + 10, from_y + 34, f"{NAMES[name]}: not served", size=11)
            rows = result.get("steps", [])
            for index, width in ((1, 1), (2, 2.5)):
                points = [(x((n + 0.5) * step), y(row[index])) for n, row in enumerate(rows) if row[index] == row[index]]
                for (x1, y1), (x2, y2) in zip(points, points[1:]):
                    drawing.line(x1, y1, x2, y2, colour, width)
    return drawing.svg()


def write(data, directory):
    """Writes the plots of a result."""
    drawn = {"cpu.svg": bars(data["closed"], "cpu_us", "Server CPU per request", "µs of CPU per request", "lower is better"),
             "rps.svg": bars(data["closed"], "rps", "Requests per second, one core", "requests/s", "higher is better")}
    if data["open"]:
        drawn["latency.svg"] = latency(data["open"])
    for name, text in drawn.items():
        (directory / name).write_text(text)
