"""Write docs/settings.md anew: every setting of every option, from the classes that declare them.

python scripts/document_settings.py
"""

from nglab.runs.options import document
from nglab.settings.composing import conf_dir

if __name__ == "__main__":
    (conf_dir().parent / "docs" / "settings.md").write_text(document())
