"""The image as commands: python -m deploy.image base|build|sizes|sbom."""

from __future__ import annotations

import json
from pathlib import Path

import click

from app.domain.errors import ConfigurationError
from deploy.image.base_image import BASE_IMAGE, make_base
from deploy.image.build import ROOT, build, image_name
from deploy.image.contents import bill_of_materials, sizes, sizes_table
from deploy.image.engine import ENGINES, Engine, find_engine


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--engine", type=click.Choice(ENGINES), help="By default the first of these that is on the PATH.")
@click.option("--store", type=click.Path(path_type=Path), help="Keep images in this folder, not in the usual store.")
@click.option("--image", default=image_name, show_default="as the chart names it", help="The image's name.")
@click.pass_context
def image(context: click.Context, *, engine: str | None, store: Path | None, image: str) -> None:
    """Make the container image, and tell what is in it."""
    context.obj = (find_engine(*([engine] if engine else []), store=store), image)


@image.command()
@click.pass_obj
def base(chosen: tuple[Engine, str]) -> None:
    """Make the local base image from Debian's packages, unless it is there."""
    make_base(chosen[0])
    click.echo(f"image: base {BASE_IMAGE} is there")


@image.command(name="build")
@click.option("--base", "on", help="Build on this image; without it on a local one, made as `base` does.")
@click.pass_obj
def build_image(chosen: tuple[Engine, str], *, on: str | None) -> None:
    """Build the image."""
    engine, name = chosen
    build(engine, name, base=on)
    click.echo(f"image: built {name} with {engine.name}")


@image.command(name="sizes")
@click.pass_obj
def tell_sizes(chosen: tuple[Engine, str]) -> None:
    """Print the sizes of the image's parts, as Markdown."""
    click.echo(sizes_table(sizes(*chosen)))


@image.command()
@click.option("--scanner", default=".venv-sbom/bin/cyclonedx-py", show_default=True, type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def sbom(chosen: tuple[Engine, str], *, scanner: Path, file: Path) -> None:
    """Write the image's bill of materials (CycloneDX 1.6, JSON) to FILE."""
    document = bill_of_materials(*chosen, scanner=ROOT / scanner)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    click.echo(f"image: {len(document['components'])} components in {file}")


if __name__ == "__main__":
    try:
        image.main(prog_name="python -m deploy.image", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except ConfigurationError as error:
        raise SystemExit(f"image: {error}") from None
