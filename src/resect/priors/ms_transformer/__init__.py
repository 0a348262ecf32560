"""MS-Transformer: one network for several places, which tells them apart and regresses the pose in each."""
