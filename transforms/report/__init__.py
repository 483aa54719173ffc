"""The report: index.html of a data set, one page that needs nothing else to be looked at.

survey        numbers of all rows of the manifest, row group by row group
looks         a few dozen samples, read back and reduced to what the page shows
inputs        the pictures that it was made of: near-blank ones, look-alikes, cut-outs with specks
alike         which pictures look alike
bands         means and deviations, and the bands that they should lie in
findings      warnings in words
drawing       drawings by matplotlib as inline SVG
charts        the distributions
input_charts  how evenly the inputs were used
loading       how to load this very data set, as code
markup        HTML that is escaped unless it is known to be markup
words         numbers and lists of names in words
sections      the parts of the page
page          all of it together
sheet         one sample as a picture (`fgbg show`)
"""
