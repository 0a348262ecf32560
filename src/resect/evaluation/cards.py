"""The parts of a report about single photos: cards with pictures, the table, the legend of statuses."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from resect.errors import ResectError
from resect.evaluation import wording
from resect.evaluation.cases import Case, Neighbour
from resect.evaluation.pictures import Painter, gif_uri, jpeg_uri, shrink, slide, to_pil
from resect.evaluation.pose_file import ERROR, UNREADABLE, status_facts
from resect.evaluation.score import MISSING
from resect.geometry.camera import Camera
from resect.types import Status

_MISSING_FACTS = (False, "The file names no pose for this photo.", "Predict it, or accept that it counts as failed.")


@dataclass(frozen=True)
class CardSettings:
    """How large the pictures of a report are.

    Attributes:
        side: longer side of a picture, pixels.
        gif_side: longer side of a moving picture, pixels.
        frames: pictures in a moving one.
        neighbour_side: longer side of a training photo shown beside a failure.
    """

    side: int = 320
    gif_side: int = 200
    frames: int = 10
    neighbour_side: int = 220


def facts(status: str) -> tuple[bool, str, str]:
    """(whether there is a pose, what happened, what to do)."""
    return _MISSING_FACTS if status == MISSING else status_facts(status)


def chip(case_status: str, solved: bool | None = None) -> str:
    """The status as a coloured word; an answer that is wrong is not coloured as a good one."""
    ok, sentence, _ = facts(case_status)
    kind = "bad" if not ok or solved is False else "good" if case_status == Status.OK.name else "warn"
    word = case_status + (", wrong" if ok and solved is False else "")
    return f'<span class="chip {kind}" title="{escape(sentence)}">{escape(word)}</span>'


def card(case: Case, paint: Painter | None, meters: float | None, settings: CardSettings, *, moving: bool) -> str:
    """One photo with its pictures; a photo that cannot be read any more is shown without."""
    words = f"<b>{escape(case.photo)}</b>{chip(case.status, case.solved)}<span class=soft>{_line(case, meters)}</span>"
    try:
        views = _views(case, paint, settings, moving=moving)
    except (ResectError, OSError) as error:
        views = f'<p class="note">No picture: {escape(str(error))}</p>'
    _, sentence, advice = facts(case.status)
    why = "" if case.answered else f'<p class="soft">{escape(sentence)} {escape(advice)}</p>'
    return (
        f'<article class="card case"><header>{words}</header>{why}{views}{_near(case.neighbours, settings)}</article>'
    )


def _line(case: Case, meters: float | None) -> str:
    parts = []
    if case.rotation_deg is not None and case.answered:
        parts.append(f"off by {wording.angle(case.rotation_deg)} and {wording.length(case.translation, meters)}")
    if case.modes > 1 and case.mass is not None:
        parts.append(f"best of {case.modes} poses, {wording.percent(case.mass)} of the mass")
    if case.seconds is not None:
        parts.append(wording.duration(case.seconds))
    if case.source:
        parts.append(f"start from {escape(case.source)}")
    return " · ".join(parts)


def _views(case: Case, paint: Painter | None, settings: CardSettings, *, moving: bool) -> str:
    if case.load is None:
        return ""
    photo = to_pil(case.load().image)
    camera = case.camera.rescale(*photo.size) if case.camera is not None else None
    if camera is None or paint is None or not case.path:
        small = Camera.from_fov(1.0, *photo.size).fit_within(settings.side)
        picture = jpeg_uri(shrink(photo, small))
        return f'<div class="views">{figure(picture, "The photo")}</div>'
    small, seen = camera.fit_within(settings.side), jpeg_uri(shrink(photo, camera.fit_within(settings.side)))
    ends = [("start", case.path[0])] if len(case.path) > 1 or not case.answered else []
    ends += [("answer", case.path[-1])] if case.answered else []
    stacks = ""
    for name, pose in ends:
        render = jpeg_uri(to_pil(paint(small, pose)))
        stacks += _stack(name, render, small)
    if moving and len(case.path) > 1 and case.answered:
        gif = gif_uri(slide(photo, case.path, camera.fit_within(settings.gif_side), paint, settings.frames))
        words = "From the start to the answer, half photo, half render; motion between recorded steps is filled in, "
        words += "and where the start was exact hardly anything moves"
        stacks += (
            f'<figure><img src="{gif}" alt="render sliding onto the photo"><figcaption>{words}</figcaption></figure>'
        )
    return f'<div style="--photo:url({seen})"><div class="views">{stacks}</div>{_how(case.photo)}</div>'


def _stack(name: str, render: str, camera: Camera) -> str:
    shape = f"aspect-ratio:{camera.width}/{camera.height}"
    layers = '<div style="background-image:var(--photo)"></div>'
    layers += f'<div class="render" style="background-image:url({render})"></div>'
    caption = {"start": "Before: photo | render at the start", "answer": "After: photo | render at the answer"}[name]
    picture = f'<div class="stack" role="img" aria-label="photo and render at the {name}" style="{shape}">'
    return f'<figure>{picture}{layers}<div class="edge"></div></div><figcaption>{caption}</figcaption></figure>'


def _how(photo: str) -> str:
    """Switches between split view, blend and difference; they work without a script, the slider needs one line."""
    group = escape(photo, quote=True)
    choices = "".join(
        f'<label><input type="radio" name="{group}" class="m-{mode}"{checked}>{mode}</label>'
        for mode, checked in (("split", " checked"), ("blend", ""), ("difference", ""))
    )
    move = "this.closest('.case').style.setProperty('--cut', this.value + '%')"
    slider = f'<label>cut <input type="range" min="0" max="100" value="50" oninput="{move}"></label>'
    return f'<div class="how">{choices}{slider}</div>'


def _near(neighbours: Sequence[Neighbour], settings: CardSettings) -> str:
    figures = ""
    for neighbour in neighbours:
        try:
            picture = to_pil(neighbour.load().image)
        except (ResectError, OSError):
            continue
        small = shrink(picture, Camera.from_fov(1.0, *picture.size).fit_within(settings.neighbour_side))
        caption = f"{escape(neighbour.name)}<br>{escape(neighbour.caption)}"
        figures += figure(jpeg_uri(small), caption)
    if not figures:
        return ""
    return f'<p class="hint">The nearest training photos:</p><div class="views">{figures}</div>'


def figure(uri: str, caption: str) -> str:
    """A picture with words below it."""
    return f'<figure><img src="{uri}" alt=""><figcaption>{caption}</figcaption></figure>'


def scroll_table(head: str, rows: str) -> str:
    """A table that scrolls sideways on a narrow screen."""
    return f'<div class="card scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def table(cases: Sequence[Case], meters: float | None, most: int) -> str:
    """All photos, worst first where there is a truth."""
    judged = any(c.rotation_deg is not None for c in cases)
    heads = ["photo", "status", *(["rotation error", "translation error"] if judged else []), "poses", "mass", "time"]
    rows = "".join(f"<tr>{_row(case, meters, judged)}</tr>" for case in cases[:most])
    left_out = f'<p class="hint">{len(cases) - most} more photos are in the Pose file.</p>' if len(cases) > most else ""
    head = "".join(f"<th>{h}</th>" for h in heads)
    return (
        f'<div class="card scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{left_out}'
    )


def _row(case: Case, meters: float | None, judged: bool) -> str:
    errors = [wording.angle(case.rotation_deg), wording.length(case.translation, meters)] if judged else []
    mass = "" if case.mass is None else wording.percent(case.mass)
    cells = [chip(case.status, case.solved), *errors, str(case.modes or ""), mass, wording.duration(case.seconds)]
    oracle = " (oracle start)" if case.oracle else ""
    name = f'<td class="name" title="{escape(case.photo)}">{escape(case.photo)}{oracle}</td>'
    return name + "".join(f"<td>{cell}</td>" for cell in cells)


def statuses(present: Sequence[str]) -> str:
    """What each status means, those of this report first."""
    known = [*Status.__members__, UNREADABLE, ERROR, MISSING]
    order = [s for s in known if s in present] + [s for s in known if s not in present]
    rows = "".join(
        f'<tr><td>{chip(name)}</td><td class="words">{escape(facts(name)[1])}</td>'
        f'<td class="words">{escape(facts(name)[2])}</td><td>{sum(p == name for p in present) or ""}</td></tr>'
        for name in order
    )
    head = '<th>status</th><th class="words">what happened</th><th class="words">what to do</th><th>photos</th>'
    return scroll_table(head, rows)
