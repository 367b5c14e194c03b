"""`gpustack demo`: render a stack, fuse it, and compare the result with the truth."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.cli.options import DEFAULT
from gpustack.errors import UsageError, WriteError
from gpustack.settings import Settings

if TYPE_CHECKING:
    from gpustack.scenes import Rendered


@ending
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for frames and results.")] = Path(
        "gpustack-demo"
    ),
    scene: Annotated[
        str,
        typer.Option(
            help="The scene to render: macro, hairs, cards, dome, print, crystal, wing, lights or skin."
        ),
    ] = "macro",
    method: options.MethodOption = DEFAULT.method,
    overwrite: options.OverwriteOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Render a built-in macro scene, stack it, and tell how close the result comes to the truth."""
    del debug
    from gpustack import api
    from gpustack.cli.progress import TerminalProgress
    from gpustack.scenes import Shoot, names, render

    if scene not in names():
        raise UsageError(f"There is no scene '{scene}'.", f"Choose one of {', '.join(names())}.")
    frames_folder = _folder(output, overwrite)
    shoot = Shoot(
        frames=16, max_blur_px=8.0, breathing=0.03, drift_px=6.0, jitter_px=0.5, flicker=0.01, noise=1.0
    )
    typer.echo(
        f"rendering {shoot.frames} frames of {shoot.width}x{shoot.height}, scene '{scene}' ...", err=True
    )
    started = time.perf_counter()
    rendered = render(scene, shoot)
    paths = [_write_frame(frames_folder, index, rendered.frame(index)) for index in range(shoot.frames)]
    rendering = time.perf_counter() - started
    with TerminalProgress(quiet=False) as progress:
        result = api.stack(paths, Settings(method=method, depth=True), progress=progress)
    _save(output, result, rendered)
    _tell(output, result, rendered, rendering)


def _folder(output: Path, overwrite: bool) -> Path:
    """Make the folder, and refuse one that holds something already."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())) and not overwrite:
        raise WriteError(
            f"{output} exists already.", "Choose another folder with -o, or allow it with --overwrite."
        )
    frames = output / "frames"
    try:
        frames.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(
            f"The folder {frames} cannot be made ({error.strerror}).", "Choose another with -o."
        ) from error
    return frames


def _write_frame(folder: Path, index: int, pixels: Any) -> Path:
    from gpustack.io.metadata import Metadata
    from gpustack.io.write import write_picture

    path = folder / f"frame_{index:02d}.jpg"
    write_picture(path, pixels, Metadata(), overwrite=True, software="gpustack demo")
    return path


def _save(output: Path, result: Any, rendered: Rendered) -> None:
    from gpustack.io.metadata import Metadata
    from gpustack.io.write import write_picture
    from gpustack.scenes.comparison import comparison

    result.save(output / "stacked.png", overwrite=True)
    result.save_depth(output / "depth.tif", overwrite=True)
    result.save_confidence(output / "confidence.tif", overwrite=True)
    side_by_side = comparison(rendered, result.image, result.depth, result.report.box)
    write_picture(
        output / "comparison.png", side_by_side, Metadata(), overwrite=True, software="gpustack demo"
    )


def _tell(output: Path, result: Any, rendered: Rendered, rendering: float) -> None:
    from gpustack.scenes.comparison import single_frame_psnr, truth_psnr

    alone = single_frame_psnr(rendered, result.report.box)
    fused = truth_psnr(rendered, result.image, result.report.box)
    typer.echo(f"PSNR against the truth: {fused:.1f} dB (the reference frame alone: {alone:.1f} dB)")
    stages = {"render": rendering, **result.report.seconds}
    typer.echo("seconds: " + ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in stages.items()))
    typer.echo(f"look at {output / 'comparison.png'}")
