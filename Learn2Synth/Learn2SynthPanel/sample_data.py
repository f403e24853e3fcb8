"""Public data to try the module with, offered in Slicer's Sample Data module; nothing is downloaded before a user asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from Learn2SynthLib.resources import resource

from .translation import tr as _

CATEGORY = "Learn2Synth"
# Commits never change, so neither do these addresses; the digests are of the files as they are there.
_BRAINCHOP = "https://raw.githubusercontent.com/neuroneural/brainchop/4c87885f3a2a8835e260d521dcec922b58d91d41/public/"
_NIIVUE = "https://raw.githubusercontent.com/niivue/niivue/9255c43ce83c8d69ca3fe2d9ea289cc71936e6af/packages/niivue/demos/images/"
_SYNTHSEG = "https://raw.githubusercontent.com/BBillot/SynthSeg/66342c1f05e520f3729a6d7ca1042eb7f01b6266/data/training_label_maps/"


@dataclass(frozen=True)
class Sample:
    """One file: the key of its node and picture, what it is, where it is, its digest, and its licence. labels: it is a label map."""

    key: str
    title: str
    address: str
    sha256: str
    licence: str
    labels: bool = False

    @property
    def file_name(self) -> str:
        """Of its own, because Slicer keeps the downloads of all modules in one folder."""
        return self.key + next(suffix for suffix in (".nii.gz", ".mgz") if self.address.endswith(suffix))


def samples() -> tuple[Sample, ...]:
    """A head to segment; an annotated scan and a label map to train with."""
    return (
        Sample(
            "Learn2SynthHead",
            _("Head T1, to segment"),
            _BRAINCHOP + "t1_crop.nii.gz",
            "9f5708dd1980fe0017ad70f63d895bae66bd9f5487eb1c38d129591116113613",
            "brainchop, MIT",
        ),
        Sample(
            "Learn2SynthBrain",
            _("Brain T1, annotated"),
            _NIIVUE + "norm.mgz",
            "bc0cdf794e60a14ca3425942d3a2b5e95884c28c6df967e1ff3a5f1ef518056e",
            "NiiVue, BSD-2-Clause",
        ),
        Sample(
            "Learn2SynthBrainLabels",
            _("Labels of the brain T1"),
            _NIIVUE + "aparc.a2009s+aseg.mgz",
            "fca18efe92dc7693b501dc87a1a58fcaab7f5d2d46aaa547eb259a942c37c6c2",
            "NiiVue, BSD-2-Clause",
            labels=True,
        ),
        Sample(
            "Learn2SynthLabelMap",
            _("Label map to synthesise from"),
            _SYNTHSEG + "training_seg_01.nii.gz",
            "edbf1229a0552f8ce37438d02f59e810583b71b0a1b4d31dc38e5e2b2517acb1",
            "SynthSeg, Apache-2.0",
            labels=True,
        ),
    )


def register() -> None:
    """Offer the data; to be called once Slicer has started. Where Slicer comes without Sample Data there is nobody to offer it."""
    try:
        from SampleData import SampleDataLogic
    except ImportError:
        return
    for sample in samples():
        SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=f"{sample.title}\n({sample.licence})",
            uris=sample.address,
            fileNames=sample.file_name,
            nodeNames=sample.key,
            checksums=f"SHA256:{sample.sha256}",
            thumbnailFileName=str(resource("Icons", f"{sample.key}.png")),
            loadFileTypes="VolumeFile",
            loadFileProperties={"labelmap": True} if sample.labels else {},
        )
