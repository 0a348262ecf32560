"""PoseCNN: which known objects a photo shows, where, and how they are turned."""
