"""Unpacks a wheel with its file modes, which Python's own `zipfile` and `pip` drop for data files.

    wheel_unpack.py FILE.whl FOLDER
"""

import os
import stat
import sys
import zipfile


def main() -> None:
    wheel, folder = sys.argv[1:]
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            mode = entry.external_attr >> 16
            if stat.S_ISLNK(mode):
                target = os.path.join(folder, entry.filename)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.symlink(archive.read(entry).decode(), target)
                continue
            # `extract` keeps names inside the folder, whatever the archive says.
            path = archive.extract(entry, folder)
            if not entry.is_dir() and mode:
                os.chmod(path, stat.S_IMODE(mode))


if __name__ == "__main__":
    main()
