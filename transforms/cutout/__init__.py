"""Photos to cut-outs: seeds, GrabCut, matting, colours, quality; plain arrays but for `steps`."""
