"""What the user has chosen in the panel; it is kept in the scene, so that a reopened scene shows it again."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from Learn2SynthLib.config import STRATEGIES

ATTRIBUTE = "Learn2Synth.settings"
LEARN, MEASURE = "learn", "measure"
ANY, ALIKE = "any", "alike"
_ROLE = "source"  # begins the roles of node references
_SOURCES = ("volumes", "label_maps", "unlabelled")  # settings that are lists of sources
_GONE = "gone"  # in place of the ID of a node that is not there any more


@dataclass
class Source:
    """A file or folder, or a node of the scene by its ID."""

    path: str = ""
    node: str = ""


@dataclass
class Scan:
    """An annotated scan, or a folder of them (labels empty). use: LEARN, or MEASURE only."""

    image: Source
    labels: Source = field(default_factory=Source)
    use: str = LEARN


@dataclass
class Settings:
    """Everything on the panel that is worth keeping.

    mappings: per group of labels, LabelMapping.to_json(). served: scans of ANY contrast, or those that are ALIKE to the annotated ones.
    """

    volumes: list[Source] = field(default_factory=list)
    model: str = ""
    segment_device: str = "auto"
    label_maps: list[Source] = field(default_factory=list)
    labels_table: str = "freesurfer"
    scans: list[Scan] = field(default_factory=list)
    scans_table: str = "freesurfer"
    unlabelled: list[Source] = field(default_factory=list)
    target: str = "brain"
    mappings: dict[str, dict[str, Any]] = field(default_factory=dict)
    strategy: str = "learn2synth"
    enhancement: str = "parametric"
    served: str = ANY
    preset: str = "quick-2d"
    steps: int = 0
    train_device: str = "auto"
    run: str = ""
    assignments: str = ""
    keep: bool = False
    chart: str = ""

    @property
    def assigned(self) -> list[str]:
        """The single settings over the preset, each KEY=VALUE; blanks in double quotes belong to a value, such as the path of a model to begin with."""
        written = re.findall(r'(?:"[^"]*"|\S)+', self.assignments)
        return [re.sub(r'="([^"]*)"$', lambda quoted: f"={json.dumps(quoted[1])}", each) for each in written]  # a backslash is one, as in Windows' paths

    def nodes(self) -> set[str]:
        """IDs of all nodes that are named."""
        scans = (source for scan in self.scans for source in (scan.image, scan.labels))
        return {source.node for source in (*self.volumes, *self.label_maps, *self.unlabelled, *scans)} - {""}

    def forget(self, node: str) -> None:
        """Leaves out what names a node that is gone."""
        for name in _SOURCES:
            setattr(self, name, [source for source in getattr(self, name) if source.node != node])
        self.scans = [scan for scan in self.scans if node not in (scan.image.node, scan.labels.node)]

    def write(self, parameter_node: Any) -> None:
        """Into the module's parameter node. Nodes are kept as references, which Slicer mends when it renumbers them on loading."""
        roles = [parameter_node.GetNthNodeReferenceRole(n) for n in range(parameter_node.GetNumberOfNodeReferenceRoles())]
        for role in roles:
            if role.startswith(_ROLE):
                parameter_node.RemoveNodeReferenceIDs(role)
        record = asdict(self)
        for index, source in enumerate(_sources(record)):
            if source["node"]:
                parameter_node.SetNodeReferenceID(f"{_ROLE}{index}", source["node"])
                source["node"] = f"{_ROLE}{index}"
        parameter_node.SetAttribute(ATTRIBUTE, json.dumps(record, ensure_ascii=False))

    @classmethod
    def read(cls, parameter_node: Any) -> Settings:
        """From the parameter node. What is unknown and nodes that are gone are left out: a scene may be of another version."""
        try:
            record = json.loads(parameter_node.GetAttribute(ATTRIBUTE) or "{}")
        except ValueError:  # somebody has edited the scene's file
            record = {}
        for source in _sources(record):
            node = parameter_node.GetNodeReference(source["node"]) if source["node"] else None
            source["node"] = node.GetID() if node else _GONE if source["node"] else ""
        settings = cls._from_json(record)
        settings.forget(_GONE)
        return settings

    @classmethod
    def _from_json(cls, record: dict[str, Any]) -> Settings:
        settings = cls(**{key: value for key, value in _known(cls, record).items() if key not in (*_SOURCES, "scans")})
        if settings.strategy not in STRATEGIES:
            settings.strategy = cls.strategy
        for name in _SOURCES:
            setattr(settings, name, [Source(**_known(Source, source)) for source in record.get(name, [])])
        for scan in record.get("scans", []):
            image, labels = (Source(**_known(Source, scan[kind])) for kind in ("image", "labels"))
            settings.scans.append(Scan(image, labels, scan["use"]))
        return settings


def _known(kind: type, record: dict[str, Any]) -> dict[str, Any]:
    return {field.name: record[field.name] for field in fields(kind) if field.name in record}


def _sources(record: dict[str, Any]) -> list[dict[str, str]]:
    """The sources in a record, in a fixed order, to be changed in place."""
    alone = [source for name in _SOURCES for source in record.get(name, [])]
    return alone + [scan[kind] for scan in record.get("scans", []) for kind in ("image", "labels")]
