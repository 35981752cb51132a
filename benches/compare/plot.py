"""A bar chart of the processor time per request as multiples of the bare handlers."""

from html import escape

from report import GOAL_CONNECTIONS, goal

WIDTH, LABELS, ROW, TOP = 720, 250, 24, 50
COLORS = ["#3b6ea5", "#d98c3f", "#5a9a68", "#8b5fa8"]


def svg(results):
    bars = [
        (engine, row)
        for engine, measured in results["engines"].items()
        for row in measured["requests"]
        if row["connections"] == GOAL_CONNECTIONS and row["server"] != "bare"
    ]
    longest = max([1.2, *(max(row["times_bare"], goal(engine, row)) for engine, row in bars)])
    scale = (WIDTH - LABELS - 60) / longest
    names = list(dict.fromkeys(row["server"] for _, row in bars))
    height = TOP + ROW * len(bars) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="12" y="20" font-size="15">Processor time per request, {GOAL_CONNECTIONS} connections; bare handler = 1</text>',
        '<text x="12" y="38" fill="#555">Bar: measured. Black mark: goal. Grey line: the bare handler.</text>',
        f'<path d="M{LABELS + scale:.0f} {TOP - 4}V{height - 8}" stroke="#999"/>',
    ]
    for number, (engine, row) in enumerate(bars):
        y = TOP + number * ROW
        color = COLORS[names.index(row["server"]) % len(COLORS)]
        name = f"{engine} · {row['operation']}" + (f" · {row['server']}" if len(names) > 1 else "")
        width, mark = row["times_bare"] * scale, LABELS + goal(engine, row) * scale
        parts += [
            f'<text x="{LABELS - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABELS}" y="{y}" width="{width:.0f}" height="{ROW - 7}" fill="{color}"/>',
            f'<path d="M{mark:.0f} {y - 2}v{ROW - 3}" stroke="#000" stroke-width="3"/>',
            f'<text x="{max(LABELS + width, mark) + 6:.0f}" y="{y + 14}">{row["times_bare"]:.2f}×</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])
