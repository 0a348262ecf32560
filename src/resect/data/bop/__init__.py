"""BOP datasets and results in and out. Format: github.com/thodan/bop_toolkit, docs/bop_datasets_format.md."""

from resect.data.bop.folder import BopFolder, read_bop
from resect.data.bop.results import BopResult, read_results, result_of, write_results
from resect.data.bop.write import write_bop

__all__ = ["BopFolder", "BopResult", "read_bop", "read_results", "result_of", "write_bop", "write_results"]
