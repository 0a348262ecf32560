"""Objects in clutter: cut, search by templates, settle outline and surface, judge."""
