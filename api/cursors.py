"""The cursors of a list, which are ids of things in it: from which on it is read, and in which direction."""

from collections.abc import Callable

from api.problems import Code, FieldError, Problem, invalid


def check_cursors(is_id: Callable[[str], bool], what: str, after: str | None, before: str | None = None) -> None:
    """Raises Problem for both at once, and for one that is not the id of `what`: "a job"."""
    if after is not None and before is not None:
        raise invalid(FieldError(pointer="?before", detail="cannot be used together with after"))
    for name, cursor in (("after", after), ("before", before)):
        if cursor is not None and not is_id(cursor):
            pointer = FieldError(pointer=f"?{name}", detail=f"is not the id of {what}")
            raise Problem(Code.BAD_CURSOR, f"{name} takes the id of {what}, such as last_id.", errors=[pointer])
