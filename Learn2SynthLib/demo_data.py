"""The demo's data: a real scan and two label maps that come with two Python packages."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .errors import InputError
from .volume.files import read_image, read_label_map, write_image, write_label_map
from .volume.geometry import resample_labels

# Package: version, and where in it the data lies.
PACKAGES = {
    "nilearn": ("0.14.1", "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"),
    "deepmriprep": ("0.3.0", "data/templates"),
}


@dataclass(frozen=True)
class DemoData:
    """Files of the demo: a T1 image with its label map (FreeSurfer ids), and another label map (neuromorphometrics ids)."""

    image: Path
    labels: Path
    atlas: Path

    @classmethod
    def into(cls, folder: Path) -> DemoData:
        """Takes the data out of the packages, label maps on the image's grid. Raises InputError when a package is missing."""
        data = cls(folder / "mni152_T1w.nii.gz", folder / "mni152_dseg.nii.gz", folder / "atlas_dseg.nii.gz")
        template, atlases = (package_path(name) for name in PACKAGES)
        image = read_image(template)
        if not data.image.is_file():
            write_image(image, data.image)
        for path, name, table in ((data.labels, "ibsr", "freesurfer"), (data.atlas, "neuromorphometrics", "neuromorphometrics")):
            if not path.is_file():
                write_label_map(resample_labels(read_label_map(atlases / f"{name}.nii.gz", table), image.grid), path)
        return data


def package_path(name: str) -> Path:
    """Where the demo's data lies in an installed package, which is not imported. Raises InputError when it is not there."""
    version, inside = PACKAGES[name]
    spec = find_spec(name)
    path = Path(spec.origin or "").parent / inside if spec else None
    if path is None or not path.exists():
        wanted = " ".join(f"{package}=={release}" for package, (release, _) in PACKAGES.items())
        command = f"{sys.executable} -m pip install --no-deps {wanted}"
        raise InputError("demo", f"the package {name} {version}, which holds its data, is not installed", remedy=f"install it: {command}")
    return path
