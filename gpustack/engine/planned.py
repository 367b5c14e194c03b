"""What a plan is made of, and what it says."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gpustack.engine.turns import Turns
from gpustack.model.rect import Rows, cut
from gpustack.settings import Method


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may use: bytes of RAM in all, threads, and bytes of each of `devices` GPUs (0: the CPU
    works); `disk_bytes` in `folder` for state that does not fit (0: it has to). `scattered`: threads
    keep what they have freed, each for itself. `loops`: compiled ones can be had. `mapped_bytes` of files are
    in this process's memory already, libraries above all (0: the system does not tell)."""

    ram_bytes: int
    threads: int
    vram_bytes: int = 0
    devices: int = 0
    disk_bytes: int = 0
    folder: str = ""
    scattered: bool = False
    loops: bool = False
    mapped_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a stack will be worked through.

    `passes` name what each reading of the frames is for; `slots` decoded frames exist at a time, filled by
    `readers` threads; the bytes are peaks, `budget_bytes` the contract they stay within: of the survey; of a
    pass, `frame_bytes`, `state_bytes` and `work_bytes` together; or after it, `finish_bytes`. `kept_bytes`,
    in the last two, are kept of all frames together; `loops_bytes` come to the last two, `llvm_bytes` of
    them to the first. On GPUs: `devices` share the frames, each holds
    `device_bytes` at most; `spill`: state of the frames' size lies in host memory. Where a stack is fused in
    `slabs`, `open_slabs` of them have begun at a time. `checkpoint_bytes`: room on the disk that checkpoints
    take at most, 0 where none are kept.

    Where memory does not hold the state, it lies in a file in `folder`, `disk_bytes` large, `resident_bytes`
    of it in memory; `turns` are those of each pass, and `slowdown` is by how many times longer that takes.
    `loops`: the CPU's are compiled.
    """

    method: Method
    passes: tuple[str, ...]
    frames: int
    width: int
    height: int
    band_rows: int
    slots: int
    readers: int
    threads: int
    base_bytes: int
    frame_bytes: int
    state_bytes: int
    finish_bytes: int
    kept_bytes: int
    work_bytes: int
    survey_bytes: int
    budget_bytes: int
    seconds: float
    devices: int = 0
    spill: bool = False
    device_bytes: int = 0
    device_budget_bytes: int = 0
    slabs: int = 0
    open_slabs: int = 0
    checkpoint_bytes: int = 0
    folder: str = ""
    disk_bytes: int = 0
    resident_bytes: int = 0
    turns: Turns = field(default_factory=dict)
    slowdown: float = 1.0
    loops: bool = False
    loops_bytes: int = 0
    llvm_bytes: int = 0

    @property
    def bands(self) -> tuple[Rows, ...]:
        """The bands of a canvas of the full height."""
        return cut(self.height, self.band_rows)

    @property
    def renders(self) -> tuple[str, ...]:
        """The passes that make the picture."""
        return tuple(name for name in self.passes if name != "survey")

    @property
    def total_bytes(self) -> int:
        """Predicted peak."""
        passing = self.frame_bytes + self.state_bytes + self.work_bytes
        return max(self.surveying_bytes, self.fusing_bytes + max(passing, self.finish_bytes))

    @property
    def surveying_bytes(self) -> int:
        """Predicted peak of the survey."""
        return self.base_bytes + self.llvm_bytes + self.survey_bytes

    @property
    def fusing_bytes(self) -> int:
        """What the program takes after it, besides pixels."""
        return self.base_bytes + self.loops_bytes

    def keeping(self, nbytes: int) -> Plan:
        """The plan of a run that keeps so many bytes more, of all frames together."""
        return replace(
            self,
            state_bytes=self.state_bytes + nbytes,
            finish_bytes=self.finish_bytes + nbytes,
            kept_bytes=self.kept_bytes + nbytes,
        )

    @property
    def readings(self) -> int:
        """How often all frames are decoded to be fused, at most, in one pass."""
        return max((len(turns) for turns in self.turns.values()), default=1)

    @property
    def paging_sentence(self) -> str:
        """What is unusual about a run whose state does not fit."""
        return (
            f"{self.budget_bytes >> 20} MiB do not hold this stack at once: {self.disk_bytes / 2**30:.1f} "
            f"GiB go to a file in {self.folder}, and the frames are read {self.readings} times, so it takes "
            f"about {self.slowdown:.1f} times as long. --ram allows more."
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything, for `--json`."""
        return asdict(self) | {"bands": len(self.bands), "total_bytes": self.total_bytes}
