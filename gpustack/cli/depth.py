"""`gpustack depth`: a depth map as heights, normals, a mesh, stereo pictures or an animation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.settings import ANIMATION_PX, MESH_TRIANGLES, PARALLAX, RELIEF, End, Export


@ending
def depth(
    depth: Annotated[
        Path, typer.Argument(help="What stack --depth has written, TIFF or PNG.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The file to write: .tif .png .exr .ply .obj .stl .glb .gif .webp .apng .jpg",
        ),
    ],
    as_: Annotated[
        Export | None,
        typer.Option("--as", help="What it becomes; the ending suggests it.", show_default=False),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="The sharp picture of the same run: colours, and what is looked at.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="Frames of the stack, where the file does not say.", show_default=False)
    ] = None,
    near: Annotated[End, typer.Option(help="The frame that is focused nearest to the camera.")] = End.FIRST,
    step_um: Annotated[
        float | None,
        typer.Option(
            help="Micrometres between two frames: heights get a unit. A microscope's stack tells it itself.",
            show_default=False,
        ),
    ] = None,
    um_per_px: Annotated[
        float | None, typer.Option(help="Micrometres of a pixel: meshes get their size.", show_default=False)
    ] = None,
    relief: Annotated[
        float,
        typer.Option(help="Without these two: the height of the whole depth, as a share of the longer side."),
    ] = RELIEF,
    parallax: Annotated[
        float,
        typer.Option(help="Between two eyes: how far near and far move apart, as a share of the width."),
    ] = PARALLAX,
    triangles: Annotated[int, typer.Option(help="The most triangles of a mesh.")] = MESH_TRIANGLES,
    width: Annotated[int, typer.Option(help="The most pixels an animation is wide or high.")] = ANIMATION_PX,
    overwrite: options.OverwriteOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Make heights, a normal map, a mesh, stereo pictures or an animation of a depth map."""
    del debug
    from gpustack.depth.relief import Scale
    from gpustack.exporting import ENDINGS, open_depth
    from gpustack.io.write import check_output

    scale = Scale(step_um, um_per_px, relief, near is End.FIRST)
    check_output(output, overwrite, sorted({ending for some in ENDINGS.values() for ending in some}))
    found = open_depth(depth, picture, frames=frames, scale=scale)
    kind = as_ or found.fitting(output)
    found.save(output, kind, overwrite=overwrite, triangles=triangles, parallax=parallax, width=width)
    typer.echo(f"{output}: {kind.value}")
