"""The built frontend: which file a name stands for, and how files are sent."""

import json
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FRONTEND: Final = Path(__file__).resolve().parent.parent / "frontend"
STATIC: Final = FRONTEND / "static"
_PACKED: Final = (("br", ".br"), ("gzip", ".gz"))
_MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def asset(name: str) -> str:
    """The built file behind ``name``, such as ``js/frame.js``; its name says its content."""
    return _manifest(_built_at()).get(name, name)


def _built_at() -> int:
    try:
        return (STATIC / "manifest.json").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


@lru_cache(maxsize=2)
def _manifest(built_at: int) -> Mapping[str, str]:
    # Pages can be read without a built frontend; they only look plain.
    return json.loads((STATIC / "manifest.json").read_text("utf-8")) if built_at else {}


class BuiltFiles(StaticFiles):
    """Sends built files, compressed where the build has done so. A file whose name says its content never changes."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC, check_dir=False)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, to be kept for a year where its name has a hash."""
        response = await self._compressed(path, scope) or await super().get_response(path, scope)
        is_hashed = path in _manifest(_built_at()).values() or Path(path).name.startswith("chunk-")
        response.headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if is_hashed else "public, max-age=3600"
        )
        return response

    async def _compressed(self, path: str, scope: Scope) -> Response | None:
        media_type = _MEDIA_TYPES.get(Path(path).suffix)
        if media_type is None or scope["method"] not in ("GET", "HEAD"):
            return None
        accepted = Headers(scope=scope).get("accept-encoding", "")
        for encoding, ending in _PACKED:
            if encoding not in accepted:
                continue
            file, found = await to_thread.run_sync(self.lookup_path, path + ending)
            if found and stat.S_ISREG(found.st_mode):
                response = self.file_response(file, found, scope)
                response.headers["Content-Encoding"] = encoding
                response.headers["Content-Type"] = f"{media_type}; charset=utf-8"
                response.headers.add_vary_header("Accept-Encoding")
                return response
        return None
