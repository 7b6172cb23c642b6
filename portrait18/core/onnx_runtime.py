"""Run ONNX networks on the CPU with ONNX Runtime."""

import os
import re
from pathlib import Path
from typing import Any

from portrait18.core.errors import UserError


def _threads() -> int:
    """Return the threads that OpenMP would use, 0 for all cores.

    OMP_NUM_THREADS may be a list, a number for each level of nesting.
    """
    found = re.match(r"\s*(\d{1,4})", os.environ.get("OMP_NUM_THREADS", ""))
    return int(found[1]) if found else 0


class OnnxNetwork:
    """A loaded network; may be called by several threads at once.

    Args:
        source: an ONNX file, or its content.
        name: of the network, for messages; by default the file's.

    Raises:
        UserError: a damaged file, or one that ONNX Runtime does not support.
    """

    def __init__(self, source: Path | bytes, name: str = ""):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _threads()
        # Threads that wait would else spin, which multiplies the CPU time if a core is shared.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors; warnings are about optimizations
        model: Any = source if isinstance(source, bytes) else str(source)
        name = name or str(source)
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{name} is no network that ONNX Runtime can run ({reason}); export or"
                " copy it again"
            ) from None
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, batch: Any) -> dict[str, Any]:
        """Return the outputs for an array: name -> array, in the network's order."""
        return dict(zip(self._outputs, self._session.run(None, {self._input: batch}), strict=True))
